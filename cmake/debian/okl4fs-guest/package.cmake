# SPDX-License-Identifier: BSD-3-Clause
# okl4fs-guest: programs for guests, beside okl4fs-dkms. Their install rules are in guest-tools/.

install(FILES systemd/okl4fs-connect@.path systemd/okl4fs-connect@.service systemd/okl4fs-listen@.service
  systemd/okl4fs-listen@.socket systemd/okl4fs-login@.path systemd/okl4fs-login@.service
  systemd/okl4fs-serve@.path systemd/okl4fs-serve@.service
  DESTINATION lib/systemd/system COMPONENT guest EXCLUDE_FROM_ALL)
set(only_in_package EXCLUDE_FROM_ALL)
okl4fs_man(guest "" docs/okl4fs-login.8 docs/okl4fs-serve.8)
unset(only_in_package)

set(installed "\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_SBINDIR}")
install(CODE "execute_process(COMMAND ${CMAKE_STRIP} --strip-unneeded -R .comment -R .note
  ${installed}/okl4fs-login ${installed}/okl4fs-serve
  COMMAND_ERROR_IS_FATAL ANY)" COMPONENT guest EXCLUDE_FROM_ALL)

okl4fs_deb(guest okl4fs-guest postinst prerm postrm)
set(CPACK_DEBIAN_GUEST_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_GUEST_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_GUEST_PACKAGE_DEPENDS "systemd (>= 249), init-system-helpers (>= 1.51)")
set(CPACK_DEBIAN_GUEST_PACKAGE_RECOMMENDS "okl4fs-dkms")
set(CPACK_COMPONENT_GUEST_DESCRIPTION "byte channels from a QEMU guest to its host (programs for guests)
okl4fs is a fast byte channel between a QEMU guest and its host: a fifo in
the guest, a socket or a file on the host, in memory that both share.

This package contains programs for guests in which okl4fs-dkms is installed:
okl4fs-login, a login over a channel, with a terminal, job control and the
size of the window on the host; and okl4fs-serve, which gives each session
of a channel a command or a connection to a server.")
