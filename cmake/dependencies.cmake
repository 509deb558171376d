# The libraries of docs/architecture.md, each behind one interface target.

function(curlingiron_archive target)
  add_library(${target} INTERFACE)
  foreach(name IN LISTS ARGN)
    find_library(${target}_${name} NAMES lib${name}.a REQUIRED)
    target_link_libraries(${target} INTERFACE ${${target}_${name}})
  endforeach()
endfunction()

find_package(Threads REQUIRED)
curlingiron_archive(ci_zlib z)
curlingiron_archive(ci_lzma lzma)
curlingiron_archive(ci_zstd zstd)
curlingiron_archive(ci_bzip2 bz2)
curlingiron_archive(ci_lz4 lz4)
curlingiron_archive(ci_xxhash xxhash)
curlingiron_archive(ci_openssl ssl crypto)
target_link_libraries(ci_openssl INTERFACE Threads::Threads ${CMAKE_DL_LIBS})
curlingiron_archive(ci_cares cares)

# Built by scripts/setup from the distribution's source packages: Debian's libcurl.a cannot be linked
# static, and ISA-L has no archive at all.
set(CURLINGIRON_CURL ${CMAKE_SOURCE_DIR}/build/deps/curl CACHE PATH "prefix of the minimal static libcurl")
if(NOT EXISTS ${CURLINGIRON_CURL}/lib/libcurl.a)
  message(FATAL_ERROR "${CURLINGIRON_CURL}/lib/libcurl.a is missing; run scripts/setup first")
endif()
# An imported archive, not a bare path: only so does CMake put OpenSSL behind it on the link line.
add_library(ci_curl STATIC IMPORTED)
set_target_properties(ci_curl PROPERTIES IMPORTED_LOCATION ${CURLINGIRON_CURL}/lib/libcurl.a)
target_include_directories(ci_curl SYSTEM INTERFACE ${CURLINGIRON_CURL}/include)
target_compile_definitions(ci_curl INTERFACE CURL_STATICLIB)
target_link_libraries(ci_curl INTERFACE ci_openssl ci_cares)

set(CURLINGIRON_ISAL ${CMAKE_SOURCE_DIR}/build/deps/libisal CACHE PATH "prefix of the static ISA-L")
if(NOT EXISTS ${CURLINGIRON_ISAL}/lib/libisal.a)
  message(FATAL_ERROR "${CURLINGIRON_ISAL}/lib/libisal.a is missing; run scripts/setup first")
endif()
add_library(ci_isal STATIC IMPORTED)
set_target_properties(ci_isal PROPERTIES IMPORTED_LOCATION ${CURLINGIRON_ISAL}/lib/libisal.a)
target_include_directories(ci_isal SYSTEM INTERFACE ${CURLINGIRON_ISAL}/include)

add_library(ci_cli INTERFACE)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
target_link_libraries(ci_cli INTERFACE CLI11::CLI11 nlohmann_json::nlohmann_json)
