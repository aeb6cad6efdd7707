# SPDX-License-Identifier: BSD-3-Clause
# okl4fs: the programs for the host. Their install rules are in daemon/, those of the units and related
# files in systemd/.

# The configuration is the administrator's (a conffile): installed when this package is made, and
# never by a plain `cmake --install`.
install(FILES conf/okl4fsd.json DESTINATION /etc/okl4fs COMPONENT okl4fs EXCLUDE_FROM_ALL)

file(GLOB examples CONFIGURE_DEPENDS conf/*.json)
list(FILTER examples EXCLUDE REGEX "/(okl4fsd\\.schema|grafana.*)\\.json$")
install(FILES ${examples} DESTINATION share/doc/okl4fs/examples COMPONENT okl4fs)
file(GLOB data CONFIGURE_DEPENDS conf/okl4fsd.schema.json conf/grafana*.json conf/prometheus*.yml
  conf/apparmor*)
install(FILES ${data} DESTINATION share/okl4fs COMPONENT okl4fs)
file(GLOB documents CONFIGURE_DEPENDS docs/*.md)
list(FILTER documents EXCLUDE REGEX "/benchmarks\\.md$")
install(FILES ${documents} SECURITY.md DESTINATION share/doc/okl4fs COMPONENT okl4fs)
file(GLOB pages CONFIGURE_DEPENDS docs/*.1 docs/*.5 docs/*.7)
okl4fs_man(okl4fs "" ${pages} docs/okl4fsd.8)

install(FILES completions/okl4fsctl.bash DESTINATION share/bash-completion/completions
  RENAME okl4fsctl COMPONENT okl4fs)
install(FILES completions/_okl4fsctl DESTINATION share/zsh/vendor-completions COMPONENT okl4fs)

okl4fs_deb(okl4fs okl4fs postinst prerm postrm)
file(WRITE ${made}/okl4fs/conffiles "/etc/okl4fs/okl4fsd.json\n")
list(APPEND CPACK_DEBIAN_OKL4FS_PACKAGE_CONTROL_EXTRA ${made}/okl4fs/conffiles)
set(CPACK_DEBIAN_OKL4FS_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_OKL4FS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_OKL4FS_PACKAGE_DEPENDS "systemd (>= 249), init-system-helpers (>= 1.51)")
set(CPACK_DEBIAN_OKL4FS_PACKAGE_RECOMMENDS "qemu-system-x86 | qemu-system")
set(CPACK_DEBIAN_OKL4FS_PACKAGE_SUGGESTS "libvirt-daemon-system, prometheus, python3-okl4fs, okl4fs-dkms")
set(CPACK_COMPONENT_OKL4FS_DESCRIPTION "byte channels from a QEMU guest to its host (daemon)
okl4fs is a fast byte channel between a QEMU guest and its host: a fifo in
the guest, a socket or a file on the host, in memory that both share.

This package contains the host's end: the daemon okl4fsd, which serves guests
of QEMU, libvirt and Cloud Hypervisor over vhost-user, and okl4fsctl, which
shows and changes what it serves. Guests need okl4fs-dkms.")

# --- okl4fs-dbgsym: the symbols that are stripped from okl4fs's programs, by build id. (CPack's own .ddeb
# has neither change log nor licence, and its file sums have the names that the files had while it was built.)

install(CODE "execute_process(COMMAND ${CMAKE_STRIP} --strip-unneeded -R .comment -R .note
  \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_SBINDIR}/okl4fsd
  \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/okl4fsctl
  COMMAND_ERROR_IS_FATAL ANY)" COMPONENT okl4fs EXCLUDE_FROM_ALL)
install(CODE "execute_process(COMMAND ${debian}/okl4fs-dbgsym/split-debug
  \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/debug $<TARGET_FILE:okl4fsd> $<TARGET_FILE:okl4fsctl>
  COMMAND_ERROR_IS_FATAL ANY)" COMPONENT dbgsym EXCLUDE_FROM_ALL)

okl4fs_deb(dbgsym okl4fs-dbgsym)
set(CPACK_DEBIAN_DBGSYM_PACKAGE_SECTION debug)
set(CPACK_DEBIAN_DBGSYM_PACKAGE_DEPENDS "okl4fs (= ${PROJECT_VERSION}-${OKL4FS_DEB_REVISION})")
set(CPACK_COMPONENT_DBGSYM_DESCRIPTION "debug symbols for okl4fs
Debuggers find them automatically for okl4fsd and okl4fsctl of this version.")
