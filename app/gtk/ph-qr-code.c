/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "app/gtk/ph-qr-code.h"

#include <math.h>
#include <qrencode.h>

/* ISO/IEC 18004, 9.1: the margin that a reader may count on, in modules. */
#define QUIET_ZONE 4
/* Small enough for 360 px, large enough for a phone's camera at arm's length. */
#define SIZE_MIN 180
#define SIZE_NATURAL 260
#define CORNER_RADIUS 12

struct _PhQrCode {
  GtkWidget parent_instance;

  char *text;
  GdkTexture *texture; /* a pixel a module; NULL: nothing to show */
};

enum { PROP_TEXT = 1, N_PROPS };
static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (PhQrCode, ph_qr_code, GTK_TYPE_WIDGET)

static GdkTexture *
make_texture (const char *text)
{
  QRcode *code;
  size_t side;
  g_autofree uint8_t *pixels = NULL;
  g_autoptr (GBytes) bytes = NULL;

  if (text == NULL || *text == '\0')
    return NULL;
  /* Level M: a reflection on the screen may hide 15 % of it. */
  code = QRcode_encodeString8bit (text, 0, QR_ECLEVEL_M);
  if (code == NULL)
    return NULL;
  side = (size_t)code->width + 2 * QUIET_ZONE;
  pixels = g_malloc (side * side);
  memset (pixels, 0xff, side * side);
  for (size_t y = 0; y < (size_t)code->width; y++)
    for (size_t x = 0; x < (size_t)code->width; x++)
      if (code->data[y * (size_t)code->width + x] & 1)
        pixels[(y + QUIET_ZONE) * side + x + QUIET_ZONE] = 0;
  QRcode_free (code);
  bytes = g_bytes_new_take (g_steal_pointer (&pixels), side * side);
  return gdk_memory_texture_new ((int)side, (int)side, GDK_MEMORY_G8, bytes, side);
}

static double
surface_scale (GtkWidget *widget)
{
  GtkNative *native = gtk_widget_get_native (widget);
  GdkSurface *surface = native != NULL ? gtk_native_get_surface (native) : NULL;

  return surface != NULL ? gdk_surface_get_scale (surface) : 1;
}

static void
ph_qr_code_snapshot (GtkWidget *widget, GtkSnapshot *snapshot)
{
  PhQrCode *self = PH_QR_CODE (widget);
  const int width = gtk_widget_get_width (widget);
  const int height = gtk_widget_get_height (widget);
  const double scale = surface_scale (widget);
  double modules, module, side;
  graphene_rect_t bounds;
  GskRoundedRect outline;

  if (self->texture == NULL)
    return;
  modules = gdk_texture_get_width (self->texture);
  module = floor (MIN (width, height) * scale / modules) / scale;
  if (module <= 0)
    module = MIN (width, height) / modules;
  side = module * modules;
  bounds = GRAPHENE_RECT_INIT (floorf ((float)((width - side) / 2 * scale)) / (float)scale,
                               floorf ((float)((height - side) / 2 * scale)) / (float)scale,
                               (float)side, (float)side);
  gsk_rounded_rect_init_from_rect (&outline, &bounds, CORNER_RADIUS);
  gtk_snapshot_push_rounded_clip (snapshot, &outline);
  gtk_snapshot_append_scaled_texture (snapshot, self->texture, GSK_SCALING_FILTER_NEAREST, &bounds);
  gtk_snapshot_pop (snapshot);
}

static void
ph_qr_code_measure (GtkWidget *widget, GtkOrientation orientation, int for_size, int *minimum,
                    int *natural, int *minimum_baseline, int *natural_baseline)
{
  *minimum = SIZE_MIN;
  *natural = SIZE_NATURAL;
}

void
ph_qr_code_set_text (PhQrCode *self, const char *text)
{
  g_return_if_fail (PH_IS_QR_CODE (self));

  if (!g_set_str (&self->text, text))
    return;
  g_clear_object (&self->texture);
  self->texture = make_texture (text);
  gtk_widget_queue_draw (GTK_WIDGET (self));
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_TEXT]);
}

static void
ph_qr_code_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  switch (id) {
  case PROP_TEXT:
    g_value_set_string (value, PH_QR_CODE (object)->text);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_qr_code_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  switch (id) {
  case PROP_TEXT:
    ph_qr_code_set_text (PH_QR_CODE (object), g_value_get_string (value));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
ph_qr_code_finalize (GObject *object)
{
  PhQrCode *self = PH_QR_CODE (object);

  g_clear_object (&self->texture);
  g_free (self->text);
  G_OBJECT_CLASS (ph_qr_code_parent_class)->finalize (object);
}

static void
ph_qr_code_class_init (PhQrCodeClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (klass);

  object_class->get_property = ph_qr_code_get_property;
  object_class->set_property = ph_qr_code_set_property;
  object_class->finalize = ph_qr_code_finalize;
  widget_class->snapshot = ph_qr_code_snapshot;
  widget_class->measure = ph_qr_code_measure;

  properties[PROP_TEXT] =
      g_param_spec_string ("text", NULL, NULL, NULL,
                           G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, properties);
  gtk_widget_class_set_css_name (widget_class, "qrcode");
  gtk_widget_class_set_accessible_role (widget_class, GTK_ACCESSIBLE_ROLE_IMG);
}

static void
ph_qr_code_init (PhQrCode *self)
{
}
