# SPDX-License-Identifier: BSD-3-Clause
# The guest's kernel module, built by Kbuild against the headers of the guest's kernel:
#   cmake -DOKL4FS_KERNEL_HEADERS=DIR ... && cmake --build ... --target module
# makes module/KERNELVERSION/okl4fs.ko in the build directory; the source tree stays clean.

set(OKL4FS_KERNEL_HEADERS "" CACHE PATH "Headers of the guest kernel (a kernel build directory)")

if(OKL4FS_KERNEL_HEADERS)
  add_custom_target(module
    COMMAND ${PROJECT_SOURCE_DIR}/cmake/build-module ${OKL4FS_KERNEL_HEADERS}
      ${PROJECT_BINARY_DIR}/module
    USES_TERMINAL VERBATIM
    COMMENT "Building okl4fs.ko for ${OKL4FS_KERNEL_HEADERS}")
else()
  add_custom_target(module
    COMMAND ${CMAKE_COMMAND} -E echo
      "Set OKL4FS_KERNEL_HEADERS to the guest kernel's headers, or use ./dev, which fetches them"
    COMMAND ${CMAKE_COMMAND} -E false
    VERBATIM)
endif()
