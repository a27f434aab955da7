// For threads that write to pipes and sockets by libraries that do not ask for MSG_NOSIGNAL.
#pragma once
#include <pthread.h>
#include <signal.h>

namespace weir::plugin {

// A reader that has gone is an error of the write, not the end of the process. For the calling thread.
inline void block_broken_pipe_signal() {
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
}

}  // namespace weir::plugin
