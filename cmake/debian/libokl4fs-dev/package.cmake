# SPDX-License-Identifier: BSD-3-Clause
# libokl4fs-dev: libfs.a, its headers, and the files by which pkg-config and CMake find them
#
# Debian's own libfs-dev is X11's font service library. The two can be installed side by side: the package,
# libokl4fs.pc and the CMake package have names of their own, and libfs.a is not libFS.a.

if(CMAKE_LIBRARY_ARCHITECTURE)
  set(dev_lib lib/${CMAKE_LIBRARY_ARCHITECTURE})
else()
  set(dev_lib ${CMAKE_INSTALL_LIBDIR})
endif()

install(TARGETS fs EXPORT okl4fs ARCHIVE DESTINATION ${dev_lib} COMPONENT dev)
install(DIRECTORY libfs/include/libfs DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev
  FILES_MATCHING PATTERN "*.h")

# Only in the package: without debug symbols
install(CODE "execute_process(COMMAND ${CMAKE_STRIP} --strip-debug -R .comment
  --enable-deterministic-archives \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${dev_lib}/libfs.a COMMAND_ERROR_IS_FATAL ANY)"
  COMPONENT dev EXCLUDE_FROM_ALL)

file(RELATIVE_PATH dev_prefix /${dev_lib}/pkgconfig /)
configure_file(cmake/debian/libokl4fs-dev/libokl4fs.pc.in ${made}/libokl4fs.pc @ONLY)
install(FILES ${made}/libokl4fs.pc DESTINATION ${dev_lib}/pkgconfig COMPONENT dev)

include(CMakePackageConfigHelpers)
write_basic_package_version_file(${made}/okl4fs-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(EXPORT okl4fs NAMESPACE okl4fs:: FILE okl4fs-config.cmake
  DESTINATION ${dev_lib}/cmake/okl4fs COMPONENT dev)
install(FILES ${made}/okl4fs-config-version.cmake DESTINATION ${dev_lib}/cmake/okl4fs
  COMPONENT dev)

file(GLOB pages CONFIGURE_DEPENDS docs/*.3)
okl4fs_man(dev "" ${pages})
install(FILES docs/ABI.md DESTINATION share/doc/libokl4fs-dev COMPONENT dev)
install(FILES docs/examples/libfs_pair.c DESTINATION share/doc/libokl4fs-dev/examples
  COMPONENT dev)

okl4fs_deb(dev libokl4fs-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_COMPONENT_DEV_DESCRIPTION "byte channels over shared memory (development files)
okl4fs is a fast byte channel between a QEMU guest and its host: a fifo in
the guest, a socket or a file on the host, in memory that both share.

This package contains libfs, the library that implements both ends of such a
channel, as a static library with its headers. It needs no system call and no
allocator: the program hands in the memory. Debian's libfs-dev is an X11
library; both can be installed.")
