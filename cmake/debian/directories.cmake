# SPDX-License-Identifier: BSD-3-Clause
# cpack runs this before it makes a package: directories get the permissions that they have on a Debian
# system, whatever the umask is.

file(CHMOD_RECURSE ${CPACK_TEMPORARY_INSTALL_DIRECTORY} DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
