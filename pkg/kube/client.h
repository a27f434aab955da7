// Talks to one Kubernetes API server: requests, watches and timers on a thread of its own (libcurl's multi interface,
// HTTP/2 where the server offers it).
//
// All callbacks run on that thread, the "kube thread"; so does everything that is handed them. post() alone may be
// called from any thread. Knows nothing of what Weir makes of the objects.
#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace weir::kube {

// How to reach the API server and who to be there. Files are read again when they change (token rotation).
struct Access {
  std::string server;                                                                // "https://10.0.0.1:443"
  std::string ca_data, ca_file;                                                      // PEM; both empty: the system's
  std::string tls_server_name;                                                       // instead of the server's host
  bool insecure = false;                                                             // insecure-skip-tls-verify
  std::string token, token_file;                                                     // bearer
  std::string client_cert_data, client_cert_file, client_key_data, client_key_file;  // PEM
  std::string username, password;                                                    // basic
  struct Exec {  // client.authentication.k8s.io/v1 and v1beta1
    std::string command, api_version;
    std::vector<std::string> args;
    std::map<std::string, std::string> env;
  };
  std::optional<Exec> exec;
  std::string proxy_url;     // of the cluster; empty: none, whatever the environment says
  std::string as_namespace;  // of the context, or of the service account; may be empty
};

// kubeconfig: the file's path; empty: $KUBECONFIG, then (in a pod) the service account, then ~/.kube/config. Errors
// name the file, the context and the remedy.
Result<Access> load_access(const std::string& kubeconfig, const std::map<std::string, std::string>& environment);
// Whether this process runs in a pod (KUBERNETES_SERVICE_HOST and the service account's token are there).
bool in_cluster(const std::map<std::string, std::string>& environment);

struct Answer {
  int status = 0;
  std::string body;
  std::chrono::seconds retry_after{0};
  bool ok() const { return status >= 200 && status < 300; }
  // The message of a metav1.Status body, else the status in words.
  std::string reason() const;
};

class Client {
 public:
  using Work = std::move_only_function<void()>;
  using Done = std::move_only_function<void(Result<Answer>)>;  // error: no answer (connection, timeout)
  struct Options {
    std::chrono::milliseconds timeout{15'000};  // of a request; watches have none but that of silence (90 s)
    std::string user_agent = "weir";
    std::string thread_name = "kube";
    std::chrono::milliseconds silence{90'000};  // of a stream; the API server sends bookmarks once a minute
  };
  static Result<std::unique_ptr<Client>> start(Access, Options);
  // Runs what was posted, gives up what is on its way without a word (but requests that write get 0.8 s), ends the
  // thread. Whatever uses the client has to be gone by then; what is of the kube thread goes there, by post().
  virtual ~Client() = default;

  virtual void post(Work) = 0;  // any thread
  // The others: kube thread only.
  virtual void after(std::chrono::milliseconds, Work) = 0;
  // Once nothing more of what has arrived is waiting to be handed over; a few milliseconds late at most.
  virtual void when_quiet(Work work) { post(std::move(work)); }
  // path with query: "/api/v1/namespaces/default/secrets/x". content_type: for a body.
  virtual void request(std::string method, std::string path, std::string body, std::string content_type, Done) = 0;
  // A stream of lines (a watch). line: each one, without its end. done: when it ended, with the status.
  struct Stream {
    virtual ~Stream() = default;  // cancels; then nothing is called any more
  };
  virtual std::unique_ptr<Stream> stream(std::string path, std::function<void(std::string_view line)> line,
                                         Done done) = 0;
  virtual const std::string& default_namespace() const = 0;
};

}  // namespace weir::kube
