/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/model/ph-model-types.h"

G_DEFINE_ENUM_TYPE (PhStatus, ph_status,
                    G_DEFINE_ENUM_VALUE (PH_STATUS_NOT_CONFIGURED, "not-configured"),
                    G_DEFINE_ENUM_VALUE (PH_STATUS_CONNECTING, "connecting"),
                    G_DEFINE_ENUM_VALUE (PH_STATUS_ONLINE, "online"),
                    G_DEFINE_ENUM_VALUE (PH_STATUS_OFFLINE, "offline"),
                    G_DEFINE_ENUM_VALUE (PH_STATUS_REPLACED, "replaced"))

G_DEFINE_ENUM_TYPE (PhDirection, ph_direction, G_DEFINE_ENUM_VALUE (PH_DIRECTION_SEND, "send"),
                    G_DEFINE_ENUM_VALUE (PH_DIRECTION_RECEIVE, "receive"))

G_DEFINE_ENUM_TYPE (PhTransferState, ph_transfer_state,
                    G_DEFINE_ENUM_VALUE (PH_TRANSFER_PREPARING, "preparing"),
                    G_DEFINE_ENUM_VALUE (PH_TRANSFER_WAITING, "waiting"),
                    G_DEFINE_ENUM_VALUE (PH_TRANSFER_CONNECTING, "connecting"),
                    G_DEFINE_ENUM_VALUE (PH_TRANSFER_OFFERED, "offered"),
                    G_DEFINE_ENUM_VALUE (PH_TRANSFER_ACTIVE, "active"),
                    G_DEFINE_ENUM_VALUE (PH_TRANSFER_PAUSED, "paused"),
                    G_DEFINE_ENUM_VALUE (PH_TRANSFER_CHECKING, "checking"),
                    G_DEFINE_ENUM_VALUE (PH_TRANSFER_DONE, "done"),
                    G_DEFINE_ENUM_VALUE (PH_TRANSFER_DECLINED, "declined"),
                    G_DEFINE_ENUM_VALUE (PH_TRANSFER_CANCELLED, "cancelled"),
                    G_DEFINE_ENUM_VALUE (PH_TRANSFER_FAILED, "failed"))
