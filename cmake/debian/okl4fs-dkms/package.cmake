# SPDX-License-Identifier: BSD-3-Clause
# okl4fs-dkms: the guest driver's source; units and rules that load it and mount its channels

set(dkms_source src/okl4fs-${PROJECT_VERSION})
configure_file(guest-driver/dkms.conf ${made}/okl4fs-dkms/dkms.conf @ONLY)

# The layout that Kbuild expects: guest-driver/* at the top, libfs/ below it (cmake/build-module)
install(DIRECTORY guest-driver/ DESTINATION ${dkms_source} COMPONENT dkms EXCLUDE_FROM_ALL
  FILES_MATCHING PATTERN "*.[chS]" PATTERN Kbuild)
install(DIRECTORY libfs DESTINATION ${dkms_source} COMPONENT dkms EXCLUDE_FROM_ALL
  FILES_MATCHING PATTERN "*.[ch]" PATTERN sources)
install(FILES ${made}/okl4fs-dkms/dkms.conf DESTINATION ${dkms_source} COMPONENT dkms EXCLUDE_FROM_ALL)

install(FILES systemd/modules-load.conf DESTINATION lib/modules-load.d
  RENAME okl4fs.conf COMPONENT dkms EXCLUDE_FROM_ALL)
install(FILES systemd/okl4.mount DESTINATION lib/systemd/system COMPONENT dkms EXCLUDE_FROM_ALL)
# Not okl4fs.conf: that file is in the host's package, and both packages may be installed together.
install(FILES systemd/okl4fs-guest.sysusers.conf DESTINATION lib/sysusers.d
  RENAME okl4fs-guest.conf COMPONENT dkms EXCLUDE_FROM_ALL)
install(PROGRAMS ${debian}/okl4fs-dkms/okl4fs-guest-doctor DESTINATION sbin
  COMPONENT dkms EXCLUDE_FROM_ALL)
install(FILES systemd/60-okl4fs.rules DESTINATION lib/udev/rules.d COMPONENT dkms EXCLUDE_FROM_ALL)

install(FILES docs/recipes.md DESTINATION share/doc/okl4fs-dkms COMPONENT dkms EXCLUDE_FROM_ALL)

# okl4fs(7) is for both sides, but a file cannot be in two packages: in a guest it is okl4fs(7guest), which
# man(1) finds by either name.
set(only_in_package EXCLUDE_FROM_ALL)
okl4fs_man(dkms "" docs/okl4fs-driver.4 docs/okl4fs-guest-doctor.8)
okl4fs_man(dkms guest docs/okl4fs.7)
unset(only_in_package)

okl4fs_deb(dkms okl4fs-dkms postinst prerm postrm)
set(CPACK_DEBIAN_DKMS_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_DKMS_PACKAGE_SECTION kernel)
set(CPACK_DEBIAN_DKMS_PACKAGE_DEPENDS "dkms (>= 2.8.1), kmod, udev, init-system-helpers (>= 1.51), systemd | systemd-standalone-sysusers | systemd-sysusers")
set(CPACK_DEBIAN_DKMS_PACKAGE_SUGGESTS "okl4fs-guest")
set(CPACK_COMPONENT_DKMS_DESCRIPTION "byte channels from a QEMU guest to its host (DKMS module)
okl4fs is a fast byte channel between a QEMU guest and its host: a fifo in
the guest, a socket or a file on the host, in memory that both share.

This package contains the source of the guest's kernel module, builds it for
the installed kernels, and mounts the channels on /okl4 as soon as there is a
device for them.")
