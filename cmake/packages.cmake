# SPDX-License-Identifier: BSD-3-Clause
# Debian packages: `cmake --build build --target package` (or ./dev package) makes them in
# build/packages. Each is a component of install() and has a section of variables here.
#
#   dkms   okl4fs-dkms_VERSION_all.deb: the guest driver's source, built by dkms on the guest

set(OKL4FS_MAINTAINER "The okl4fs authors <okl4fs@packages.invalid>" CACHE STRING
  "Who stands for the packages: Name <address>")
set(OKL4FS_DEB_REVISION 1)
string(TIMESTAMP OKL4FS_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC) # heeds SOURCE_DATE_EPOCH

# --- what has to be made first: files with the version in them, and compressed ones

set(made ${PROJECT_BINARY_DIR}/packaging)
file(MAKE_DIRECTORY ${made})
set(compressed "")

# okl4fs_compress(FILE NAME): gzip FILE into NAME.gz below build/packaging
function(okl4fs_compress file name)
  add_custom_command(OUTPUT ${made}/${name}.gz
    COMMAND sh -c "gzip -9n <'${file}' >'${made}/${name}.gz'"
    DEPENDS ${file} VERBATIM)
  set(compressed ${compressed} ${made}/${name}.gz PARENT_SCOPE)
endfunction()

file(CONFIGURE OUTPUT ${made}/changelog.Debian @ONLY CONTENT
"okl4fs (@PROJECT_VERSION@-@OKL4FS_DEB_REVISION@) unstable; urgency=medium

  * Upstream version @PROJECT_VERSION@; changelog.gz says what is new in it.

 -- @OKL4FS_MAINTAINER@  @OKL4FS_DATE@
")
okl4fs_compress(${made}/changelog.Debian changelog.Debian)
okl4fs_compress(${PROJECT_SOURCE_DIR}/CHANGELOG.md changelog)

# --- dkms

foreach(file IN ITEMS postinst prerm postrm)
  configure_file(cmake/dkms/${file} ${made}/dkms/${file} @ONLY)
endforeach()
configure_file(guest-driver/dkms.conf ${made}/dkms/dkms.conf @ONLY)

# The layout in which Kbuild expects it: guest-driver/* at the top, libfs/ below (cmake/build-module)
set(source src/okl4fs-${PROJECT_VERSION})
install(DIRECTORY guest-driver/ DESTINATION ${source} COMPONENT dkms
  FILES_MATCHING PATTERN "*.[chS]" PATTERN Kbuild)
install(DIRECTORY libfs DESTINATION ${source} COMPONENT dkms
  FILES_MATCHING PATTERN "*.[ch]" PATTERN sources)
install(FILES ${made}/dkms/dkms.conf DESTINATION ${source} COMPONENT dkms)

install(FILES systemd/modules-load.conf DESTINATION lib/modules-load.d
  RENAME okl4fs.conf COMPONENT dkms)
install(FILES systemd/okl4.mount DESTINATION lib/systemd/system COMPONENT dkms)
install(FILES systemd/60-okl4fs.rules DESTINATION lib/udev/rules.d COMPONENT dkms)
install(FILES cmake/dkms/lintian-overrides DESTINATION share/lintian/overrides
  RENAME okl4fs-dkms COMPONENT dkms)
install(FILES cmake/dkms/copyright ${made}/changelog.gz ${made}/changelog.Debian.gz
  DESTINATION share/doc/okl4fs-dkms COMPONENT dkms)
file(GLOB pages CONFIGURE_DEPENDS docs/*.4 docs/*.7)
foreach(page IN LISTS pages)
  get_filename_component(name ${page} NAME)
  string(REGEX MATCH "[0-9]$" section ${name})
  okl4fs_compress(${page} ${name})
  install(FILES ${made}/${name}.gz DESTINATION share/man/man${section} COMPONENT dkms)
endforeach()

set(CPACK_DEBIAN_DKMS_PACKAGE_NAME okl4fs-dkms)
set(CPACK_DEBIAN_DKMS_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_DKMS_PACKAGE_SECTION kernel)
set(CPACK_DEBIAN_DKMS_PACKAGE_DEPENDS "dkms (>= 2.8.1), kmod, udev, init-system-helpers (>= 1.51)")
set(CPACK_DEBIAN_DKMS_PACKAGE_CONTROL_EXTRA
  ${made}/dkms/postinst ${made}/dkms/prerm ${made}/dkms/postrm)
set(CPACK_DEBIAN_DKMS_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_COMPONENT_DKMS_DESCRIPTION "byte channels from a QEMU guest to its host (DKMS module)
okl4fs is a fast byte channel between a QEMU guest and its host: a fifo in
the guest, a socket or a file on the host, in memory that both share.

This package holds the source of the guest's kernel module, has it built for
the kernels that are installed, and mounts the channels on /okl4 as soon as
there is a device for them.")

# --- all

add_custom_target(packaging ALL DEPENDS ${compressed})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # it would be put before each package's own
set(CPACK_COMPONENTS_ALL dkms)
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
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES OFF)
set(CPACK_VERBATIM_VARIABLES ON)
include(CPack)
