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
curlingiron_archive(ci_bzip2 bz2)

# Built by scripts/setup from the distribution's source packages: Debian's libcurl.a cannot be linked
# static, ISA-L has no archive, and of OpenSSL, lz4 and zstd only a part is wanted. Imported
# archives, not bare paths: only so does CMake put OpenSSL after libcurl on the link line.
function(curlingiron_built_archive target variable default archive)
  set(${variable} ${CMAKE_SOURCE_DIR}/build/deps/${default} CACHE PATH "prefix of the static ${archive}")
  set(path ${${variable}}/lib/${archive}.a)
  if(NOT EXISTS ${path})
    message(FATAL_ERROR "${path} is missing; run scripts/setup first")
  endif()
  add_library(${target} STATIC IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES IMPORTED_LOCATION ${path})
  target_include_directories(${target} SYSTEM INTERFACE ${${variable}}/include)
endfunction()

curlingiron_built_archive(ci_isal CURLINGIRON_ISAL libisal libisal)
curlingiron_built_archive(ci_lz4 CURLINGIRON_LZ4 lz4 liblz4)
curlingiron_built_archive(ci_zstd CURLINGIRON_ZSTD libzstd libzstd)
curlingiron_built_archive(ci_crypto CURLINGIRON_OPENSSL openssl libcrypto)
target_link_libraries(ci_crypto INTERFACE Threads::Threads)
curlingiron_built_archive(ci_tls CURLINGIRON_OPENSSL openssl libssl)
target_link_libraries(ci_tls INTERFACE ci_crypto)
curlingiron_built_archive(ci_curl CURLINGIRON_CURL curl libcurl)
target_compile_definitions(ci_curl INTERFACE CURL_STATICLIB)
target_link_libraries(ci_curl INTERFACE ci_tls)

add_library(ci_cli INTERFACE)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
target_link_libraries(ci_cli INTERFACE CLI11::CLI11 nlohmann_json::nlohmann_json)

# What --version names: of each library inside, the distribution's version, which shows the security fixes
# that it has.
set(CURLINGIRON_LIBRARIES "")
function(curlingiron_name_library name version)
  set(CURLINGIRON_LIBRARIES "${CURLINGIRON_LIBRARIES}${name} ${version}\\n" PARENT_SCOPE)
endfunction()
foreach(library "OpenSSL:openssl" "libcurl:curl" "ISA-L:libisal" "zstd:libzstd" "lz4:lz4")
  string(REPLACE ":" ";" library "${library}")
  list(GET library 0 name)
  list(GET library 1 source)
  file(STRINGS ${CMAKE_SOURCE_DIR}/build/deps/${source}/version version LIMIT_COUNT 1)
  curlingiron_name_library(${name} ${version})
endforeach()
# The C++ library's package has its major version in its name: it is the one that holds the archive.
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libstdc++.a
                OUTPUT_VARIABLE archive OUTPUT_STRIP_TRAILING_WHITESPACE)
file(REAL_PATH "${archive}" archive)
execute_process(COMMAND dpkg-query -S ${archive} OUTPUT_VARIABLE owner ERROR_QUIET)
string(REGEX REPLACE ":.*" "" libstdcxx "${owner}")
foreach(library "XZ Utils:liblzma-dev" "bzip2:libbz2-dev" "zlib:zlib1g-dev" "xxHash:libxxhash-dev"
                "CLI11:libcli11-dev" "JSON for Modern C++:nlohmann-json3-dev" "glibc:libc6-dev"
                "libstdc++:${libstdcxx}")
  string(REPLACE ":" ";" library "${library}")
  list(GET library 0 name)
  list(GET library 1 package)
  execute_process(COMMAND dpkg-query -W -f "\${Version}" ${package}
                  OUTPUT_VARIABLE version ERROR_QUIET RESULT_VARIABLE failed)
  if(failed)
    set(version "of an unknown version")
  endif()
  curlingiron_name_library(${name} ${version})
endforeach()
