// The geometry of Precise RoI pooling along one axis, shared by the CPU and the CUDA operators.
//
// Cell i of a map stands for the hat function max(0, 1 - |t - i|). Everything is computed in double: there are few
// edges, and in float a box of the size of one cell would be wrong in the fifth digit.
#pragma once

#if defined(__CUDACC__)
#define PRROI_HD __host__ __device__ __forceinline__
#else
#define PRROI_HD inline
#endif

#include <cmath>

namespace prroi {

// One box along one axis, in cells of the map: `bins` bins of `size` cells from `low` on. An empty box has size 0.
struct Axis {
  double low;
  double size;
  int bins;

  PRROI_HD double edge(int k) const { return low + size * k; }
  // From cell i on; a tiny box beside it keeps its digits.
  PRROI_HD double edge_from(int k, int i) const { return low - i + size * k; }
};

PRROI_HD Axis make_axis(double low, double high, double scale, int bins) {
  const double extent = high * scale - low * scale;
  return {low * scale, extent > 0 ? extent / bins : 0.0, bins};
}

// Without fmin and fmax, which are calls where NaN has to be looked after; here NaN gives the lower limit.
PRROI_HD double clamp(double value, double lower, double upper) {
  return value > lower ? (value < upper ? value : upper) : lower;
}

// Value of the hat function at distance t from its cell.
PRROI_HD double hat(double t) {
  const double distance = fabs(t);
  return distance < 1 ? 1 - distance : 0;
}

// Mean of cell i's hat function over a bin; 0 for an empty bin. A difference of integrals divided by the size would
// lose the digits of a tiny bin and all those of its gradient: a bin on one slope has the value at its middle, whatever
// its size. The derivative in an edge at distance t is (+-)(hat(t) - weight) / size, also on a whole coordinate.
PRROI_HD double bin_weight(const Axis& axis, int bin, int i) {
  if (!(axis.size > 0)) return 0;
  const double first = axis.edge_from(bin, i), last = axis.edge_from(bin + 1, i);
  const double a = clamp(first, -1, 1), b = clamp(last, -1, 1);
  const double share = first > -1 && last < 1 ? 1.0 : (b - a) / axis.size;
  if (a * b < 0) return share - (a * a + b * b) / (2 * axis.size);
  return share * (1 - 0.5 * fabs(a + b));
}

// Derivatives of bin_weight in the bin's two edges. In general an edge at distance t has (hat(t) - weight) / size, but
// in a bin that lies within the hat only little of that difference may be left.
PRROI_HD void bin_edge_slopes(const Axis& axis, int bin, int i, double* in_first, double* in_last) {
  *in_first = *in_last = 0;
  if (!(axis.size > 0)) return;
  const double first = axis.edge_from(bin, i), last = axis.edge_from(bin + 1, i);
  if (first > -1 && last < 1) {
    if (first * last < 0) {
      const double squares = 0.5 * (first * first - last * last), product = first * last;
      *in_first = (squares - product) / axis.size / axis.size;
      *in_last = (squares + product) / axis.size / axis.size;
    } else {
      *in_first = *in_last = first + last < 0 ? 0.5 : -0.5;
    }
    return;
  }
  const double weight = bin_weight(axis, bin, i);
  *in_first = (weight - hat(first)) / axis.size;
  *in_last = (hat(last) - weight) / axis.size;
}

// First and last cell of a map of `cells` cells whose hat function reaches into [low, high]; first > last if none.
// The limits are applied before the conversion to int, which a box of 1e12 cells would overflow.
PRROI_HD void touched_cells(double low, double high, int cells, int* first, int* last) {
  const double limited = clamp(high, -1, cells - 1);
  *first = static_cast<int>(clamp(low, 0, cells));
  *last = static_cast<int>(limited);
  if (limited > *last) ++*last;
}

}  // namespace prroi
