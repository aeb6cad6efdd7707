# SPDX-License-Identifier: BSD-3-Clause
# cmake -D VERSION=V -D MAINTAINER=M -D OUT=FILE -P changelog.cmake: make FILE the packages' change log,
# in Debian's form. If it has the right content already, it is not touched.

cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/epoch.cmake)
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC) # heeds SOURCE_DATE_EPOCH
string(REGEX REPLACE "-[^-]*$" "" upstream "${VERSION}")
file(CONFIGURE OUTPUT ${OUT} @ONLY CONTENT
"okl4fs (@VERSION@) unstable; urgency=medium

  * Upstream version @upstream@; changelog.gz says what is new in it.

 -- @MAINTAINER@  @date@
")
