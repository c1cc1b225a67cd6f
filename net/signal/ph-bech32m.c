/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/signal/ph-bech32m.h"

#include <glib.h>
#include <string.h>

static uint32_t
step (uint32_t check, uint8_t symbol)
{
  static const uint32_t generator[5] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
  const uint32_t top = check >> 25;

  check = (check & 0x1ffffff) << 5 ^ symbol;
  for (unsigned i = 0; i < G_N_ELEMENTS (generator); i++)
    if (top >> i & 1)
      check ^= generator[i];
  return check;
}

uint32_t
ph_bech32m_polymod (const char *hrp, const uint8_t *symbols, size_t n)
{
  uint32_t check = 1;

  for (const char *c = hrp; *c != '\0'; c++)
    check = step (check, (uint8_t)*c >> 5);
  check = step (check, 0);
  for (const char *c = hrp; *c != '\0'; c++)
    check = step (check, (uint8_t)*c & 31);
  for (size_t i = 0; i < n; i++)
    check = step (check, symbols[i]);
  return check;
}

void
ph_bech32m_sign (const char *hrp, uint8_t *symbols, size_t n)
{
  uint8_t *check = symbols + n - PH_BECH32M_CHECK_LEN;

  g_assert (n >= PH_BECH32M_CHECK_LEN);
  memset (check, 0, PH_BECH32M_CHECK_LEN);

  const uint32_t value = ph_bech32m_polymod (hrp, symbols, n) ^ PH_BECH32M_CONST;

  for (unsigned i = 0; i < PH_BECH32M_CHECK_LEN; i++)
    check[i] = value >> (5 * (5 - i)) & 31;
}
