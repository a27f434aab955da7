# weir_folder(NAME [LINK libs...] [TEST_LINK libs...]): everything in pkg/NAME, found by the ends of the files' names:
#   *.cpp       the static library weir_NAME
#   *_test.cpp  one test program test_NAME for the whole folder: each link costs
#   *_fuzz.cpp  one libFuzzer program each, fuzz_<file>, in the fuzz preset only
function(weir_folder name)
  cmake_parse_arguments(A "" "" "LINK;TEST_LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  set(tests ${sources})
  set(fuzzers ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "(_test|_fuzz)\\.cpp$|/base/pch\\.cpp$")

  if(NOT sources)
    message(FATAL_ERROR "pkg/${name} has no sources")
  endif()
  add_library(weir_${name} STATIC ${sources})
  target_include_directories(weir_${name} PUBLIC ${PROJECT_SOURCE_DIR}/pkg)
  target_link_libraries(weir_${name} PUBLIC weir_flags ${A_LINK})
  weir_use_pch(weir_${name})

  if(WEIR_TESTS AND tests)
    add_executable(test_${name} ${tests})
    target_link_libraries(test_${name} PRIVATE weir_${name} ${A_TEST_LINK} GTest::gmock GTest::gtest_main)
    weir_use_pch(test_${name})
    # PRE_TEST: the program is asked for its cases when ctest starts, not in the build.
    gtest_discover_tests(test_${name} DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 120 LABELS ${name})
  endif()
  if(WEIR_FUZZ)
    foreach(fuzzer IN LISTS fuzzers)
      get_filename_component(stem ${fuzzer} NAME_WE)
      string(REGEX REPLACE "_fuzz$" "" stem ${stem})
      add_executable(fuzz_${stem} ${fuzzer})
      target_compile_options(fuzz_${stem} PRIVATE -fsanitize=fuzzer)
      target_link_options(fuzz_${stem} PRIVATE -fsanitize=fuzzer)
      target_link_libraries(fuzz_${stem} PRIVATE weir_${name})
      add_dependencies(fuzzers fuzz_${stem})
    endforeach()
  endif()
endfunction()

# One precompiled header for all: the standard library, {fmt} and JSON. Asio and Beast are not in it: measured, they make
# every light unit slower and a heavy unit no faster (its time goes into instantiation, not parsing).
function(weir_use_pch target)
  if(WEIR_PCH)
    target_precompile_headers(${target} REUSE_FROM weir_pch)
  endif()
endfunction()
