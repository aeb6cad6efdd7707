# SPDX-License-Identifier: BSD-3-Clause
# Debian packages: `cmake --build build --target package` (or ./dev package) makes them in
# build/packages. Each package is a component of install() and has a folder of its own in cmake/debian. A
# plain `cmake --install` leaves out what is only for packages or for guests.
#
#   okl4fs    okl4fs: the daemon, okl4fsctl, their units and manual; for the host
#   dbgsym    okl4fs-dbgsym: the debug symbols of these programs
#   dev       libokl4fs-dev: libfs.a and its headers
#   python    python3-okl4fs: the module okl4fs for Python; for the host
#   dkms      okl4fs-dkms: the guest driver's source, built by dkms on the guest

set(OKL4FS_MAINTAINER "The okl4fs authors <okl4fs@packages.invalid>" CACHE STRING
  "Who stands for the packages: Name <address>")
set(OKL4FS_DEB_REVISION 1)
set(debian ${PROJECT_SOURCE_DIR}/cmake/debian)
# Files that have to be made first: those that contain the version, and compressed ones
set(made ${PROJECT_BINARY_DIR}/packaging)
file(MAKE_DIRECTORY ${made})
set(compressed "")

# okl4fs_compress(FILE NAME): gzip FILE into NAME.gz below build/packaging
function(okl4fs_compress file name)
  if(${made}/${name}.gz IN_LIST compressed)
    return() # the file is in two packages
  endif()
  add_custom_command(OUTPUT ${made}/${name}.gz
    COMMAND sh -c "gzip -9n <'${file}' >'${made}/${name}.gz'"
    DEPENDS ${file} VERBATIM)
  set(compressed ${compressed} ${made}/${name}.gz PARENT_SCOPE)
endfunction()

# okl4fs_man(COMPONENT EXTENSION PAGE...): install manual pages; 3 becomes 3EXTENSION
function(okl4fs_man component extension)
  foreach(page IN LISTS ARGN)
    get_filename_component(page ${page} ABSOLUTE)
    get_filename_component(name ${page} NAME)
    string(REGEX MATCH "[0-9]$" section ${name})
    okl4fs_compress(${page} ${name})
    install(FILES ${made}/${name}.gz DESTINATION share/man/man${section}
      RENAME ${name}${extension}.gz COMPONENT ${component} ${only_in_package})
  endforeach()
  set(compressed ${compressed} PARENT_SCOPE)
endfunction()

# okl4fs_deb(COMPONENT PACKAGE [SCRIPT...]): settings of every package, and its maintainer scripts
macro(okl4fs_deb component package)
  string(TOUPPER ${component} key)
  install(FILES ${debian}/copyright ${made}/changelog.gz ${made}/changelog.Debian.gz
    DESTINATION share/doc/${package} COMPONENT ${component} EXCLUDE_FROM_ALL)
  install(FILES ${debian}/${package}/lintian-overrides DESTINATION share/lintian/overrides
    RENAME ${package} COMPONENT ${component} EXCLUDE_FROM_ALL)
  foreach(script IN ITEMS ${ARGN})
    configure_file(${debian}/${package}/${script} ${made}/${package}/${script} @ONLY)
    list(APPEND CPACK_DEBIAN_${key}_PACKAGE_CONTROL_EXTRA ${made}/${package}/${script})
  endforeach()
  set(CPACK_DEBIAN_${key}_PACKAGE_NAME ${package})
  set(CPACK_DEBIAN_${key}_PACKAGE_CONTROL_STRICT_PERMISSION ON)
  list(APPEND CPACK_COMPONENTS_ALL ${component})
endmacro()

add_custom_command(OUTPUT ${made}/changelog.Debian always
  COMMAND ${CMAKE_COMMAND} -D VERSION=${PROJECT_VERSION}-${OKL4FS_DEB_REVISION}
    -D MAINTAINER=${OKL4FS_MAINTAINER} -D OUT=${made}/changelog.Debian
    -P ${debian}/changelog.cmake
  VERBATIM)
set_source_files_properties(always PROPERTIES SYMBOLIC ON)
okl4fs_compress(${made}/changelog.Debian changelog.Debian)
okl4fs_compress(${PROJECT_SOURCE_DIR}/CHANGELOG.md changelog)

set(CPACK_COMPONENTS_ALL "")
if(OKL4FS_DAEMON)
  include(${debian}/okl4fs/package.cmake)
  include(${debian}/python3-okl4fs/package.cmake)
endif()
include(${debian}/libokl4fs-dev/package.cmake)
include(${debian}/okl4fs-dkms/package.cmake)

add_custom_target(packaging ALL DEPENDS ${compressed})

set(CPACK_GENERATOR DEB)
set(CPACK_PROJECT_CONFIG_FILE ${debian}/epoch.cmake)
set(CPACK_PRE_BUILD_SCRIPTS ${debian}/directories.cmake)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # it would stand before each package's own
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_CONTACT "${OKL4FS_MAINTAINER}")
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${OKL4FS_MAINTAINER}")
set(CPACK_DEBIAN_PACKAGE_RELEASE ${OKL4FS_DEB_REVISION})
set(CPACK_DEBIAN_PACKAGE_SOURCE okl4fs)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_STRIP_FILES OFF) # each package strips its own files, as Debian does
set(CPACK_VERBATIM_VARIABLES ON)
include(CPack)
