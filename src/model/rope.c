/* SPDX-License-Identifier: MIT
 * Owns the angles.  Angles are computed in double: at position 100,000 a float would be off by 0.01
 * radians.  Any thread. */
#include "config.h"

#include "src/model/rope.h"

#include <math.h>

#define TWO_PI 6.283185307179586

/* arXiv:2309.00071, "NTK-by-parts": the pair index at which a wavelength fits N_ROT times into the
 * original context. */
static double yarn_dim(const struct weir_config *c, double n_rot)
{
    return c->rot_dim * log(c->rope_ctx_orig / (n_rot * TWO_PI)) / (2 * log(c->rope_base));
}

/* The base whose slowest pair turns in all of the run's positions as far as the slowest pair of the
 * model's own base does in those it was trained for (factor 1; more stretches further).  The
 * context of the run counts, not what is in it by now: angles of cached keys must stay. */
static double dynamic_base(const struct weir_config *c)
{
    if (c->rope_ctx <= c->rope_ctx_orig || c->rot_dim <= 2)
        return c->rope_base;
    const double n = (double)c->rope_factor * c->rope_ctx / c->rope_ctx_orig - (c->rope_factor - 1);
    return c->rope_base * pow(n, c->rot_dim / (c->rot_dim - 2.0));
}

static double clamp01(double v) { return v < 0 ? 0 : v > 1 ? 1 : v; }

void weir_rope_freqs(const struct weir_config *c, const float *factors, float *inv_freq,
                     float *ret_mscale)
{
    const double lo = fmax(0, floor(yarn_dim(c, c->yarn_beta_fast)));
    const double hi = fmin(c->rot_dim - 1, ceil(yarn_dim(c, c->yarn_beta_slow)));
    const double base = c->rope_scaling == WEIR_ROPE_DYNAMIC ? dynamic_base(c) : c->rope_base;
    for (uint32_t i = 0; i < c->rot_dim / 2; i++) {
        double f = pow(base, -2.0 * i / c->rot_dim);
        if (factors && factors[i] != 0)
            f /= factors[i];
        switch (c->rope_scaling) {
        case WEIR_ROPE_PLAIN:
        case WEIR_ROPE_LONG: /* the factors are all */
        case WEIR_ROPE_DYNAMIC: break;
        case WEIR_ROPE_LINEAR: f /= c->rope_factor; break;
        case WEIR_ROPE_YARN: { /* fast pairs keep their frequency, slow ones are stretched */
            const double ramp = clamp01((i - lo) / fmax(0.001, hi - lo));
            const double keep = (1 - ramp) * c->yarn_ext;
            f = f / c->rope_factor * (1 - keep) + f * keep;
            break;
        }
        case WEIR_ROPE_LLAMA3: {
            if (factors) /* the converter has put the same rule into the tensor */
                break;
            const double wavelen = TWO_PI / f;
            const double smooth =
                (c->rope_ctx_orig / wavelen - c->rope_low) / (c->rope_high - c->rope_low);
            if (wavelen > c->rope_ctx_orig / c->rope_low)
                f /= c->rope_factor;
            else if (wavelen >= c->rope_ctx_orig / c->rope_high)
                f = (1 - smooth) * f / c->rope_factor + smooth * f;
            break;
        }
        }
        inv_freq[i] = (float)f;
    }
    *ret_mscale = 1;
    if (c->rope_scaling == WEIR_ROPE_LONG)
        *ret_mscale = c->yarn_attn;
    if (c->rope_scaling == WEIR_ROPE_YARN)
        *ret_mscale = c->yarn_attn * (float)(1 + 0.1 * log(c->rope_factor));
}

void weir_rope_angles(const float *inv_freq, float mscale, uint32_t rot_dim, uint32_t pos,
                      float *cs)
{
    for (uint32_t i = 0; i < rot_dim / 2; i++) {
        const double a = (double)pos * inv_freq[i];
        cs[2 * i] = (float)(cos(a) * mscale);
        cs[2 * i + 1] = (float)(sin(a) * mscale);
    }
}

void weir_rope_apply(float *x, uint32_t n, uint32_t head_dim, uint32_t rot_dim,
                     enum weir_rope_pairs pairs, const float *cs)
{
    const uint32_t half = rot_dim / 2;
    const uint32_t step = pairs == WEIR_ROPE_ADJACENT ? 2 : 1,
                   apart = pairs == WEIR_ROPE_ADJACENT ? 1 : half;
    for (uint32_t h = 0; h < n; h++, x += head_dim)
        for (uint32_t i = 0; i < half; i++) {
            float *a = x + i * step, *b = a + apart;
            const float va = *a, vb = *b;
            *a = va * cs[2 * i] - vb * cs[2 * i + 1];
            *b = va * cs[2 * i + 1] + vb * cs[2 * i];
        }
}
