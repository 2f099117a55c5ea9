# Every test function becomes a test of ctest's, so that they run side by side and each one that is
# skipped is named in the summary. Labels: e2e; smoke (short, also run under the sanitizers); heavy
# (takes minutes, left out unless asked for).
file(GLOB e2e_files CONFIGURE_DEPENDS e2e/test_*.py e2e/heavy/test_*.py)
set(e2e_smoke test_writers test_open_writers test_daemon)
# These measure, or take most of the inotify instances that a user has.
set(e2e_alone test_latency test_tree test_many_watches)

foreach(file IN LISTS e2e_files)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  cmake_path(GET file STEM stem)
  set(labels e2e)
  set(timeout 120)
  set(alone OFF)
  if(stem IN_LIST e2e_smoke)
    list(APPEND labels smoke)
  endif()
  if(stem IN_LIST e2e_alone)
    set(alone ON)
  endif()
  if(file MATCHES "/heavy/")
    list(APPEND labels heavy)
    set(timeout 1800)
  endif()
  file(STRINGS ${file} lines REGEX "^def test_")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^def test_([A-Za-z0-9_]+).*" "\\1" name "${line}")
    string(REPLACE "test_" "" group ${stem})
    set(test e2e.${group}.${name})
    add_test(NAME ${test}
      COMMAND /usr/bin/python3 -B -m pytest -q -rs -p no:cacheprovider ${file}::test_${name})
    set_tests_properties(${test} PROPERTIES
      LABELS "${labels}" TIMEOUT ${timeout} SKIP_RETURN_CODE 77 RUN_SERIAL ${alone}
      ENVIRONMENT "INOTIFIER=$<TARGET_FILE:inotifier>;INOTIFIER_WRITER=$<TARGET_FILE:writer>;INOTIFIER_SANITIZE=${INOTIFIER_SANITIZE}")
  endforeach()
endforeach()
