// The CPU kernels of Precise RoI pooling: objects whose run<N>(begin, end) does a range of units of work, with vectors
// of N values.
//
// The map is read where a box touches it, and only there. A bin's value is separable: the rows of a bin are averaged
// first, all columns at a time, and then the columns. Eight channels are handled together, so that a weight that is
// loaded serves eight times. No two units write to the same address, and the order of every sum is fixed within one
// unit: results have the same bits for any number of threads.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpu_boxes.h"
#include "cpu_lanes.h"

namespace prroi {

constexpr int kGroup = 8;           // channels handled together
constexpr int kBlock = 4 * kGroup;  // channels whose contributions to a box's gradient are summed in T, not double

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The maps (images, channels, height, width), as pointers to planes.
template <typename T>
class Maps {
 public:
  explicit Maps(const torch::stable::Tensor& features)
      : channels(features.size(1)),
        height(features.size(2)),
        width(features.size(3)),
        area_(height * width),
        data_(features.const_data_ptr<T>()) {
    const int64_t planes = features.size(0) * channels;
    first_copied_ = area_ > 0 ? std::max<int64_t>(0, planes - 1 - kPadding<T> / area_) : planes;
    copied_.assign(data_ + first_copied_ * area_, data_ + planes * area_);
    copied_.resize(copied_.size() + kPadding<T>);
  }

  // Vectors may be read beyond the end of a row. At the end of the tensor there must be room for that: the last plane,
  // and as many before it as are shorter together than a vector, are copies.
  const T* plane(int64_t image, int64_t channel) const {
    const int64_t index = image * channels + channel;
    return index < first_copied_ ? data_ + index * area_ : copied_.data() + (index - first_copied_) * area_;
  }

  const int64_t channels, height, width;

 private:
  int64_t area_;
  const T* data_;
  int64_t first_copied_;
  std::vector<T> copied_;
};

// Forward. A unit of work is a group of channels at one strip of boxes; the strips of a group follow each other.
template <typename T>
struct Forward {
  const Maps<T>& maps;
  const Boxes<T>& boxes;
  int64_t ph, pw, bin_stride;
  T* out;

  template <int N>
  PRROI_INLINE void run(int64_t begin, int64_t end) const {
    const int64_t strips = boxes.strips.size();
    std::vector<T> rows, pooled(kGroup * ph * pw + N);
    for (int64_t n = begin; n < end; ++n) {
      const int64_t channel = n / strips * kGroup;
      const Strip& strip = boxes.strips[n % strips];
      const int64_t valid = std::min<int64_t>(kGroup, maps.channels - channel);
      const T* planes[kGroup];
      for (int c = 0; c < kGroup; ++c)  // where channels are missing, the last one again
        planes[c] = maps.plane(boxes.image[strip.begin], channel + std::min<int64_t>(c, valid - 1));
      rows.resize(kGroup * ph * strip.cells);
      average_rows<N>(planes, strip, boxes.y.side(strip.begin), rows.data());
      for (int64_t r = strip.begin; r < strip.end; ++r) {
        const Side<T> x = boxes.x.side(r);
        T* result = out + (r * maps.channels + channel) * ph * pw;
        // Lanes that fill the rows of bins leave nothing behind them, and spare a copy that takes as long as the rest.
        const bool fits = valid == kGroup && pw % N == 0;
        average_columns<N>(rows.data() + x.first - strip.first, strip.cells, x, fits ? result : pooled.data());
        if (!fits) std::copy_n(pooled.data(), valid * ph * pw, result);
      }
    }
  }

  // rows[channel][bin in y][cell in x]
  template <int N>
  PRROI_INLINE void average_rows(const T* const* planes, const Strip& strip, const Side<T>& y, T* rows) const {
    for (int64_t j = 0; j < strip.cells; j += N)
      for (int64_t p = 0; p < ph; ++p) {
        Lanes<T, N> sum[kGroup] = {};
        for (int64_t i = y.touched[p].begin; i < y.touched[p].end; ++i) {
          const T weight = y.weights[p * y.cells + i];
          const int64_t at = (y.first + i) * maps.width + strip.first + j;
          for (int c = 0; c < kGroup; ++c) sum[c] += weight * lanes_at<N>(planes[c] + at);
        }
        for (int c = 0; c < kGroup; ++c) lanes_at<N>(rows + (c * ph + p) * strip.cells + j) = sum[c];
      }
  }

  // pooled[channel][bin in y][bin in x]: the rows of all channels alike, the bins in x as lanes. Where these are fewer
  // than the lanes, what is written behind them is overwritten by the next row.
  template <int N>
  PRROI_INLINE void average_columns(const T* rows, int64_t stride, const Side<T>& x, T* pooled) const {
    for (int64_t row = 0; row < kGroup * ph; row += kGroup)
      for (int64_t bin = 0; bin < pw; bin += N) {
        const int64_t q = std::max<int64_t>(0, std::min(bin, pw - N));
        const int64_t last = std::min(q + N, pw) - 1;
        Lanes<T, N> sum[kGroup] = {};
        for (int64_t i = x.touched[q].begin; i < x.touched[last].end; ++i) {
          const Lanes<T, N> weights = lanes_at<N>(x.weights + i * bin_stride + q);
          for (int c = 0; c < kGroup; ++c) sum[c] += rows[(row + c) * stride + i] * weights;
        }
        for (int c = 0; c < kGroup; ++c) lanes_at<N>(pooled + (row + c) * pw + q) = sum[c];
      }
  }
};

// Backward to the features. A unit of work is a group of channels of one image.
template <typename T>
struct BackwardFeatures {
  const T* grad;
  const Boxes<T>& boxes;
  const std::vector<std::vector<int64_t>>& strips_of;  // by image
  int64_t channels, height, width, ph, pw;
  T* out;

  template <int N>
  PRROI_INLINE void run(int64_t begin, int64_t end) const {
    const int64_t groups = divide_up(channels, kGroup), stride = divide_up(width, kPadding<T>) * kPadding<T>;
    std::vector<T> sums(kGroup * height * stride), rows;
    for (int64_t n = begin; n < end; ++n) {
      const int64_t image = n / groups, channel = n % groups * kGroup;
      const int64_t valid = std::min<int64_t>(kGroup, channels - channel);
      std::fill(sums.begin(), sums.end(), T(0));
      for (int64_t s : strips_of[image]) {
        const Strip& strip = boxes.strips[s];
        rows.assign(kGroup * ph * strip.cells, T(0));
        for (int64_t r = strip.begin; r < strip.end; ++r) {
          const T* grads[kGroup];
          for (int c = 0; c < kGroup; ++c)
            grads[c] = grad + (r * channels + channel + std::min<int64_t>(c, valid - 1)) * ph * pw;
          const Side<T> x = boxes.x.side(r);
          add_columns<N>(grads, x, strip.cells, rows.data() + x.first - strip.first);
        }
        add_rows<N>(rows.data(), strip, boxes.y.side(strip.begin), stride, sums.data());
      }
      for (int64_t c = 0; c < valid; ++c)
        for (int64_t i = 0; i < height; ++i)
          std::copy_n(sums.data() + (c * height + i) * stride, width,
                      out + ((image * channels + channel + c) * height + i) * width);
    }
  }

  // Adds to rows[channel][bin in y][cell in x] what one box leaves there.
  template <int N>
  PRROI_INLINE void add_columns(const T* const* grads, const Side<T>& x, int64_t stride, T* rows) const {
    int64_t q0 = 0, q1 = 0;  // bins that touch the cells j .. j + N - 1
    for (int64_t j = 0; j < x.cells; j += N) {
      while (q1 < pw && x.touched[q1].begin < j + N) ++q1;
      while (q0 < q1 && x.touched[q0].end <= j) ++q0;
      for (int64_t p = 0; p < ph; ++p) {
        Lanes<T, N> sum[kGroup];
        for (int c = 0; c < kGroup; ++c) sum[c] = lanes_at<N>(rows + (c * ph + p) * stride + j);
        for (int64_t q = q0; q < q1; ++q) {
          const Lanes<T, N> weights = lanes_at<N>(x.weights + q * x.cells + j);
          for (int c = 0; c < kGroup; ++c) sum[c] += grads[c][p * pw + q] * weights;
        }
        for (int c = 0; c < kGroup; ++c) lanes_at<N>(rows + (c * ph + p) * stride + j) = sum[c];
      }
    }
  }

  // Spreads the rows of bins of a strip over the rows of the map.
  template <int N>
  PRROI_INLINE void add_rows(const T* rows, const Strip& strip, const Side<T>& y, int64_t stride, T* sums) const {
    int64_t p0 = 0, p1 = 0;  // bins that touch the row i
    for (int64_t i = 0; i < y.cells; ++i) {
      while (p1 < ph && y.touched[p1].begin <= i) ++p1;
      while (p0 < p1 && y.touched[p0].end <= i) ++p0;
      for (int64_t j = 0; j < strip.cells; j += N) {
        T* row = sums + (y.first + i) * stride + strip.first + j;
        Lanes<T, N> sum[kGroup];
        for (int c = 0; c < kGroup; ++c) sum[c] = lanes_at<N>(row + c * height * stride);
        for (int64_t p = p0; p < p1; ++p) {
          const T weight = y.weights[p * y.cells + i];
          for (int c = 0; c < kGroup; ++c) sum[c] += weight * lanes_at<N>(rows + (c * ph + p) * strip.cells + j);
        }
        for (int c = 0; c < kGroup; ++c) lanes_at<N>(row + c * height * stride) = sum[c];
      }
    }
  }
};

// Backward to the boxes. A unit of work is a block of channels at one box: the gradient in every weight, summed over
// the channels, and then once the chain rule from the weights to the coordinates.
template <typename T>
struct BackwardRois {
  const T* grad;
  const Maps<T>& maps;
  const Boxes<T>& boxes;
  int64_t ph, pw;
  double* out;  // [block][box][x0, y0, x1, y1]

  template <int N>
  PRROI_INLINE void run(int64_t begin, int64_t end) const {
    const std::vector<T> zeros(ph * pw, T(0));
    std::vector<T> grad_x, grad_y;
    for (int64_t n = begin; n < end; ++n) {
      const int64_t block = n / boxes.count() * kBlock, r = n % boxes.count();
      const Side<T> x = boxes.x.side(r), y = boxes.y.side(r);
      grad_x.assign(pw * x.cells, T(0));
      grad_y.assign(ph * y.cells * N, T(0));
      for (int64_t channel = block; channel < std::min(block + kBlock, maps.channels); channel += kGroup) {
        const T *planes[kGroup], *grads[kGroup];
        for (int64_t c = 0; c < kGroup; ++c) {
          const bool valid = channel + c < maps.channels;
          planes[c] = maps.plane(boxes.image[r], valid ? channel + c : channel);
          grads[c] = valid ? grad + (r * maps.channels + channel + c) * ph * pw : zeros.data();
        }
        add_channels<N>(planes, grads, x, y, grad_x.data(), grad_y.data());
      }
      double* result = out + 4 * n;
      for (int k = 0; k < 4; ++k) result[k] = 0;
      for (int64_t q = 0; q < pw; ++q)
        for (int64_t i = x.touched[q].begin; i < x.touched[q].end; ++i)
          for (int k = 0; k < 2; ++k) result[2 * k] += grad_x[q * x.cells + i] * x.slopes[2 * (q * x.cells + i) + k];
      for (int64_t p = 0; p < ph; ++p)
        for (int64_t i = y.touched[p].begin; i < y.touched[p].end; ++i) {
          const T* lanes = grad_y.data() + (p * y.cells + i) * N;
          double sum = 0;
          for (int l = 0; l < N; ++l) sum += lanes[l];
          for (int k = 0; k < 2; ++k) result[2 * k + 1] += sum * y.slopes[2 * (p * y.cells + i) + k];
        }
    }
  }

  template <int N>
  PRROI_INLINE void add_channels(const T* const* planes, const T* const* grads, const Side<T>& x, const Side<T>& y,
                                 T* grad_x, T* grad_y) const {
    int64_t q0 = 0, q1 = 0;  // bins that touch the cells j .. j + N - 1
    for (int64_t j = 0; j < x.cells; j += N) {
      while (q1 < pw && x.touched[q1].begin < j + N) ++q1;
      while (q0 < q1 && x.touched[q0].end <= j) ++q0;
      for (int64_t p = 0; p < ph; ++p) {
        Lanes<T, N> spread[kGroup] = {}, rows[kGroup] = {};
        for (int64_t q = q0; q < q1; ++q) {
          const Lanes<T, N> weights = lanes_at<N>(x.weights + q * x.cells + j);
          for (int c = 0; c < kGroup; ++c) spread[c] += grads[c][p * pw + q] * weights;
        }
        for (int64_t i = y.touched[p].begin; i < y.touched[p].end; ++i) {
          const int64_t at = (y.first + i) * maps.width + x.first + j;
          const T weight = y.weights[p * y.cells + i];
          Lanes<T, N> sum = lanes_at<N>(grad_y + (p * y.cells + i) * N);
          for (int c = 0; c < kGroup; ++c) {
            const Lanes<T, N> cells = lanes_at<N>(planes[c] + at);
            rows[c] += weight * cells;
            sum += spread[c] * cells;
          }
          lanes_at<N>(grad_y + (p * y.cells + i) * N) = sum;
        }
        for (int64_t q = q0; q < q1; ++q) {
          Lanes<T, N> sum = lanes_at<N>(grad_x + q * x.cells + j);
          for (int c = 0; c < kGroup; ++c) sum += grads[c][p * pw + q] * rows[c];
          lanes_at<N>(grad_x + q * x.cells + j) = sum;
        }
      }
    }
  }
};

}  // namespace prroi
