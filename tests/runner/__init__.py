# SPDX-License-Identifier: BSD-3-Clause
"""What tests/run is made of."""
