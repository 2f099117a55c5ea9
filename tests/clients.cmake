# The clients against the daemon that was built: each file of tests is one test of ctest's. Labels:
# clients; heavy (needs a browser, a database server or npm; left out unless asked for).
file(GLOB_RECURSE client_tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/clients/test_*.py)

# add_client_test(NAME heavy COMMAND...)
function(add_client_test name heavy)
  add_test(NAME ${name} COMMAND ${ARGN})
  set(labels clients)
  set(timeout 180)
  if(heavy)
    list(APPEND labels heavy)
    set(timeout 1800)
  endif()
  set_tests_properties(${name} PROPERTIES
    LABELS "${labels}" TIMEOUT ${timeout} SKIP_RETURN_CODE 77
    ENVIRONMENT "INOTIFIER=$<TARGET_FILE:inotifier>;INOTIFIER_WRITER=$<TARGET_FILE:writer>")
endfunction()

foreach(file IN LISTS client_tests)
  cmake_path(GET file STEM stem)
  string(REGEX REPLACE "^test_" "" group ${stem})
  string(REGEX REPLACE "^.*/clients/([a-z]+)/.*$" "\\1" client ${file})
  set(heavy OFF)
  if(file MATCHES "/heavy/")
    set(heavy ON)
  endif()
  add_client_test(${client}.${group} ${heavy}
    /usr/bin/python3 -B -m pytest -q -rs -p no:cacheprovider ${file})
endforeach()

add_client_test(node ON ${PROJECT_SOURCE_DIR}/clients/node/run-tests.sh)
