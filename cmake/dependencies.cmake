# SPDX-License-Identifier: BSD-3-Clause
# The libraries, each an imported target:
#   okl4fs::vhost (DPDK's rte_vhost), okl4fs::event (libevent), okl4fs::json (json-c), okl4fs::tls (OpenSSL),
#   okl4fs::systemd (with HAVE_SYSTEMD defined, or empty), okl4fs::criterion

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

if(OKL4FS_DAEMON)
  pkg_check_modules(LIBEVENT REQUIRED IMPORTED_TARGET
    libevent_core libevent_extra libevent_pthreads)
  add_library(okl4fs::event ALIAS PkgConfig::LIBEVENT)

  pkg_check_modules(JSON_C REQUIRED IMPORTED_TARGET json-c)
  add_library(okl4fs::json ALIAS PkgConfig::JSON_C)

  pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl>=3.0)
  add_library(okl4fs::tls ALIAS PkgConfig::OPENSSL)

  # libdpdk.pc names some two hundred drivers; we need vhost, EAL and the log.
  pkg_check_modules(DPDK REQUIRED libdpdk>=22.11)
  add_library(okl4fs_vhost INTERFACE)
  add_library(okl4fs::vhost ALIAS okl4fs_vhost)
  foreach(dir IN LISTS DPDK_INCLUDE_DIRS)
    target_include_directories(okl4fs_vhost SYSTEM INTERFACE ${dir})
  endforeach()
  target_compile_options(okl4fs_vhost INTERFACE "SHELL:-include rte_config.h"
    $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>:-march=corei7>)
  target_link_directories(okl4fs_vhost INTERFACE ${DPDK_LIBRARY_DIRS})
  target_link_libraries(okl4fs_vhost INTERFACE rte_vhost rte_eal
    $<$<VERSION_GREATER_EQUAL:${DPDK_VERSION},23.11>:rte_log> Threads::Threads) # in EAL before 23.11

  pkg_check_modules(SYSTEMD IMPORTED_TARGET libsystemd)
  add_library(okl4fs_systemd INTERFACE)
  add_library(okl4fs::systemd ALIAS okl4fs_systemd)
  if(SYSTEMD_FOUND)
    target_link_libraries(okl4fs_systemd INTERFACE PkgConfig::SYSTEMD)
    target_compile_definitions(okl4fs_systemd INTERFACE HAVE_SYSTEMD=1)
  endif()
endif()

if(OKL4FS_TESTS)
  pkg_check_modules(CRITERION REQUIRED IMPORTED_TARGET criterion)
  add_library(okl4fs::criterion ALIAS PkgConfig::CRITERION)
endif()
