# inotifier-forward and its brokers. Each broker is one or a few files and one library of Debian's; it
# is left out where that is not installed, and --to says so.
pkg_check_modules(CURL IMPORTED_TARGET libcurl>=7.85 libcrypto)
pkg_check_modules(NATS IMPORTED_TARGET libnats>=3.4)

add_library(inotifier_forward STATIC
  src/forward/brokers.cpp
  src/forward/command_line.cpp
  src/forward/forwarder.cpp
  src/forward/progress.cpp
  src/forward/sendings.cpp
  src/forward/settings.cpp
  src/forward/signals.cpp)
if(CURL_FOUND)
  target_sources(inotifier_forward PRIVATE src/forward/http_client.cpp src/forward/signature.cpp
    src/forward/webhook.cpp)
  target_link_libraries(inotifier_forward PRIVATE PkgConfig::CURL)
endif()
if(NATS_FOUND)
  target_sources(inotifier_forward PRIVATE src/forward/nats.cpp)
  target_link_libraries(inotifier_forward PRIVATE PkgConfig::NATS)
endif()
target_compile_definitions(inotifier_forward PRIVATE
  INOTIFIER_VERSION="${PROJECT_VERSION}"
  INOTIFIER_FORWARD_CURL=$<BOOL:${CURL_FOUND}>
  INOTIFIER_FORWARD_NATS=$<BOOL:${NATS_FOUND}>)
# Of the core only what lies in base/ is used, and linked; src/forward/ includes nothing else of it.
target_link_libraries(inotifier_forward PUBLIC inotifier_core
  PRIVATE inotifier_flags CLI11::CLI11)
# What runs once at the start, and is long to compile.
set_source_files_properties(src/forward/command_line.cpp
  PROPERTIES COMPILE_OPTIONS $<$<CONFIG:Release>:-O1>)

add_executable(inotifier-forward src/forward/main.cpp)
target_link_libraries(inotifier-forward PRIVATE inotifier_forward inotifier_flags)
# The daemon's own libraries are not loaded.
target_link_options(inotifier-forward PRIVATE -Wl,--as-needed)
# Optional: whoever builds the daemon alone installs the daemon alone.
install(TARGETS inotifier-forward RUNTIME OPTIONAL)
