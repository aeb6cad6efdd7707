# SPDX-License-Identifier: BSD-3-Clause
# Sets SOURCE_DATE_EPOCH in the environment, so that the same source makes the same package, bit by bit:
# the value that is set already, else the time of the last commit, else that of the change log.
#
# cpack reads this before it packs, and changelog.cmake includes it.

if("$ENV{SOURCE_DATE_EPOCH}" STREQUAL "")
  set(source ${CMAKE_CURRENT_LIST_DIR}/../..)
  execute_process(COMMAND git -C ${source} log -1 --format=%ct
    OUTPUT_VARIABLE epoch OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT epoch)
    file(TIMESTAMP ${source}/CHANGELOG.md epoch "%s" UTC)
  endif()
  set(ENV{SOURCE_DATE_EPOCH} ${epoch})
endif()
