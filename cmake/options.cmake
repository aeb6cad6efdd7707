# SPDX-License-Identifier: BSD-3-Clause
# Compiler options for everything in this tree.
#
# okl4fs_warnings: the warning flags alone (for programs that run in a guest)
# okl4fs_options: warnings, sanitizers and _GNU_SOURCE; every host target links it PRIVATE

add_library(okl4fs_warnings INTERFACE)
target_compile_options(okl4fs_warnings INTERFACE
  -Wall -Wextra -Wshadow -Wvla -Wundef -Wpointer-arith -Wwrite-strings
  -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
  -Wimplicit-fallthrough -Wno-unused-parameter
  $<$<BOOL:${OKL4FS_WERROR}>:-Werror>)

add_library(okl4fs_options INTERFACE)
target_link_libraries(okl4fs_options INTERFACE okl4fs_warnings)
target_compile_definitions(okl4fs_options INTERFACE _GNU_SOURCE)
target_compile_options(okl4fs_options INTERFACE -fno-common)

if(OKL4FS_SANITIZE)
  set(okl4fs_sanitize -fsanitize=${OKL4FS_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_compile_options(okl4fs_options INTERFACE ${okl4fs_sanitize})
  target_link_options(okl4fs_options INTERFACE ${okl4fs_sanitize})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  # File names relative to the top of the source, so that the same source makes the same program anywhere
  target_compile_options(okl4fs_options INTERFACE -fstack-protector-strong
    -ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
  target_compile_definitions(okl4fs_options INTERFACE
    $<$<NOT:$<BOOL:${OKL4FS_NO_FORTIFY}>>:_FORTIFY_SOURCE=2>)
  target_link_options(okl4fs_options INTERFACE -Wl,-z,relro,-z,now)
endif()
if(OKL4FS_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "OKL4FS_FUZZ needs clang (libFuzzer): use the preset fuzz")
  endif()
  target_compile_options(okl4fs_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
