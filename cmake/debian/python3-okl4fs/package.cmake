# SPDX-License-Identifier: BSD-3-Clause
# python3-okl4fs: a module for programs in Python that talk to okl4fsd, and an example. Without the package,
# python/okl4fs.py is all that a program needs.

install(FILES python/okl4fs.py DESTINATION lib/python3/dist-packages COMPONENT python
  EXCLUDE_FROM_ALL)
install(FILES docs/examples/send_file.py DESTINATION share/doc/python3-okl4fs/examples
  COMPONENT python EXCLUDE_FROM_ALL)

okl4fs_deb(python python3-okl4fs postinst prerm)
set(CPACK_DEBIAN_PYTHON_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "python3 (>= 3.10)")
set(CPACK_DEBIAN_PYTHON_PACKAGE_RECOMMENDS "okl4fs")
set(CPACK_COMPONENT_PYTHON_DESCRIPTION "byte channels from a QEMU guest to its host (Python client)
okl4fs is a fast byte channel between a QEMU guest and its host: a fifo in
the guest, a socket or a file on the host, in memory that both share.

This package contains the Python module okl4fs for programs on the host. It
has a function for each method of the daemon okl4fsd, gives events as they
happen, and connects to the host end of a channel.")
