/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/engine/ph-engine.h"

G_DEFINE_QUARK (ph - engine - error - quark, ph_engine_error)

const char *
ph_engine_error_code (int code)
{
  switch ((PhEngineError)code) {
  case PH_ENGINE_ERROR_PROFILE_IN_USE:
    return "profile-in-use";
  case PH_ENGINE_ERROR_PROFILE_UNUSABLE:
    return "profile-unusable";
  case PH_ENGINE_ERROR_PROFILE_NEWER:
    return "profile-newer";
  case PH_ENGINE_ERROR_UNKNOWN_CONTACT:
    return "unknown-contact";
  case PH_ENGINE_ERROR_UNKNOWN_TRANSFER:
    return "unknown-transfer";
  case PH_ENGINE_ERROR_UNKNOWN_SETTING:
    return "unknown-setting";
  case PH_ENGINE_ERROR_BAD_VALUE:
    return "bad-value";
  case PH_ENGINE_ERROR_NO_RENDEZVOUS:
    return "no-rendezvous";
  case PH_ENGINE_ERROR_OFFLINE:
    return "offline";
  case PH_ENGINE_ERROR_BAD_INVITATION:
    return "bad-invitation";
  case PH_ENGINE_ERROR_INVITATION_USED:
    return "invitation-used";
  case PH_ENGINE_ERROR_INVITATION_EXPIRED:
    return "invitation-expired";
  case PH_ENGINE_ERROR_OWN_INVITATION:
    return "own-invitation";
  case PH_ENGINE_ERROR_BLOCKED:
    return "blocked";
  case PH_ENGINE_ERROR_DECLINED:
    return "declined";
  case PH_ENGINE_ERROR_CANCELLED:
    return "cancelled";
  case PH_ENGINE_ERROR_UNREACHABLE:
    return "unreachable";
  case PH_ENGINE_ERROR_TIMED_OUT:
    return "timed-out";
  case PH_ENGINE_ERROR_FILES:
    return "files";
  case PH_ENGINE_ERROR_FOLDER:
    return "folder";
  case PH_ENGINE_ERROR_NO_SPACE:
    return "no-space";
  case PH_ENGINE_ERROR_MISMATCH:
    return "mismatch";
  case PH_ENGINE_ERROR_PEER:
    return "peer";
  case PH_ENGINE_ERROR_EXPIRED:
    return "expired";
  case PH_ENGINE_ERROR_IDENTITY:
    return "identity";
  case PH_ENGINE_ERROR_NOT_FRESH:
    return "not-fresh";
  case PH_ENGINE_ERROR_BAD_EXPORT:
    return "bad-export";
  case PH_ENGINE_ERROR_PASSPHRASE:
    return "passphrase";
  case PH_ENGINE_ERROR_SERVER:
    return "server";
  case PH_ENGINE_ERROR_FAILED:
  default:
    return "failed";
  }
}
