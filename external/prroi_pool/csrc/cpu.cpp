// Precise RoI pooling on the CPU.
//
// The map is read where a box touches it, and only there. A bin's value is separable: the rows of a bin are averaged
// first, all columns at a time, and then the columns. Eight channels are handled together, so that a weight that is
// loaded serves eight times. No two threads write to the same address, and no sum depends on how work was shared out:
// the results have the same bits for any number of threads.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "boxes.h"
#include "lanes.h"

namespace {

using prroi::kPadding;
using prroi::Lanes;
using prroi::lanes_at;
using prroi::Side;
using prroi::Sides;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;

constexpr int kGroup = 8;            // channels handled together
constexpr int kBlock = 4 * kGroup;   // channels whose contributions to a box's gradient are summed in T, not double
constexpr int64_t kGrain = 1 << 14;  // vector operations below which a second thread does not pay

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The maps (images, channels, height, width), as pointers to planes.
template <typename T>
class Maps {
 public:
  explicit Maps(const Tensor& features)
      : channels(features.size(1)),
        height(static_cast<int>(features.size(2))),
        width(static_cast<int>(features.size(3))),
        area_(features.size(2) * features.size(3)),
        data_(features.const_data_ptr<T>()),
        last_(features.size(0) * channels - 1) {
    if (last_ < 0) return;
    copy_.assign(area_ + kPadding<T>, T(0));
    std::copy_n(data_ + last_ * area_, area_, copy_.begin());
  }

  // Vectors may be read beyond the end of a row. The last plane is a copy with room behind it, as the tensor has none.
  const T* plane(int64_t image, int64_t channel) const {
    const int64_t index = image * channels + channel;
    return index == last_ ? copy_.data() : data_ + index * area_;
  }

  const int64_t channels;
  const int height, width;

 private:
  int64_t area_;
  const T* data_;
  int64_t last_;
  std::vector<T> copy_;
};

template <typename T>
struct Boxes {
  std::vector<int64_t> image;
  Sides<T> x, y;

  Boxes(const Tensor& rois, int64_t images, Sides<T> x_sides, Sides<T> y_sides, double scale, bool with_slopes = false)
      : x(std::move(x_sides)), y(std::move(y_sides)) {
    const T* roi = rois.const_data_ptr<T>();
    for (int64_t r = 0; r < rois.size(0); ++r, roi += 5) {
      for (int k = 0; k < 5; ++k)
        STD_TORCH_CHECK(std::isfinite(roi[k]), "rois holds NaN or infinite values: check the boxes before pooling");
      STD_TORCH_CHECK(roi[0] >= 0 && roi[0] < images && roi[0] == std::floor(roi[0]),
                      "rois[:, 0] holds the batch index ", roi[0], ", but features has ", images,
                      " images: use 0 .. ", images - 1);
      image.push_back(static_cast<int64_t>(roi[0]));
      x.add(roi[1], roi[3], scale);
      y.add(roi[2], roi[4], scale);
    }
    x.compute_weights(with_slopes);
    y.compute_weights(with_slopes);
  }

  int64_t count() const { return static_cast<int64_t>(image.size()); }
};

// --- forward: one unit of work is one group of channels at one box, with the boxes of a group in sequence ------------

template <typename T>
struct Forward {
  const Maps<T>& maps;
  const Boxes<T>& boxes;
  int ph, pw, bin_stride;
  T* out;

  template <int N>
  PRROI_INLINE void run(int64_t begin, int64_t end) const {
    std::vector<T> rows, pooled(kGroup * ph * pw + N);
    for (int64_t n = begin; n < end; ++n) {
      const int64_t channel = n / boxes.count() * kGroup, r = n % boxes.count();
      const Side<T> x = boxes.x.side(r), y = boxes.y.side(r);
      const int64_t valid = std::min<int64_t>(kGroup, maps.channels - channel);
      const T* planes[kGroup];
      for (int c = 0; c < kGroup; ++c) planes[c] = maps.plane(boxes.image[r], channel + std::min<int64_t>(c, valid - 1));
      rows.resize(static_cast<size_t>(kGroup) * ph * x.cells);
      average_rows<N>(planes, x, y, rows.data());
      average_columns<N>(rows.data(), x, pooled.data());
      std::copy_n(pooled.data(), valid * ph * pw, out + (r * maps.channels + channel) * ph * pw);
    }
  }

  // rows[channel][bin in y][cell in x]
  template <int N>
  PRROI_INLINE void average_rows(const T* const* planes, const Side<T>& x, const Side<T>& y, T* rows) const {
    for (int j = 0; j < x.cells; j += N)
      for (int p = 0; p < ph; ++p) {
        Lanes<T, N> sum[kGroup] = {};
        for (int i = y.touched[p].begin; i < y.touched[p].end; ++i) {
          const T weight = y.weights[p * y.cells + i];
          const int64_t at = static_cast<int64_t>(y.first + i) * maps.width + x.first + j;
          for (int c = 0; c < kGroup; ++c) sum[c] += weight * lanes_at<N>(planes[c] + at);
        }
        for (int c = 0; c < kGroup; ++c) lanes_at<N>(rows + (c * ph + p) * x.cells + j) = sum[c];
      }
  }

  // pooled[channel][bin in y][bin in x]: the rows of all channels alike, the bins in x as lanes. Where these are fewer
  // than the lanes, what is written behind them is overwritten by the next row.
  template <int N>
  PRROI_INLINE void average_columns(const T* rows, const Side<T>& x, T* pooled) const {
    for (int row = 0; row < kGroup * ph; row += kGroup)
      for (int bin = 0; bin < pw; bin += N) {
        const int q = std::max(0, std::min(bin, pw - N));
        const int last = std::min(q + N, pw) - 1;
        Lanes<T, N> sum[kGroup] = {};
        for (int i = x.touched[q].begin; i < x.touched[last].end; ++i) {
          const Lanes<T, N> weights = lanes_at<N>(x.weights + i * bin_stride + q);
          for (int c = 0; c < kGroup; ++c) sum[c] += rows[(row + c) * x.cells + i] * weights;
        }
        for (int c = 0; c < kGroup; ++c) lanes_at<N>(pooled + (row + c) * pw + q) = sum[c];
      }
  }
};

// --- backward to the features: one unit of work is one group of channels of one image ---------------------------------

template <typename T>
struct BackwardFeatures {
  const T* grad;
  const Boxes<T>& boxes;
  const std::vector<std::vector<int64_t>>& of_image;
  int64_t channels;
  int height, width, ph, pw;
  T* out;

  template <int N>
  PRROI_INLINE void run(int64_t begin, int64_t end) const {
    const int64_t groups = divide_up(channels, kGroup), stride = divide_up(width, kPadding<T>) * kPadding<T>;
    std::vector<T> sums(kGroup * height * stride), means(static_cast<size_t>(ph) * kGroup * N);
    for (int64_t n = begin; n < end; ++n) {
      const int64_t image = n / groups, channel = n % groups * kGroup;
      const int64_t valid = std::min<int64_t>(kGroup, channels - channel);
      std::fill(sums.begin(), sums.end(), T(0));
      for (int64_t r : of_image[image]) {
        const T* grads[kGroup];
        for (int c = 0; c < kGroup; ++c)
          grads[c] = grad + (r * channels + channel + std::min<int64_t>(c, valid - 1)) * ph * pw;
        add_box<N>(grads, boxes.x.side(r), boxes.y.side(r), stride, means.data(), sums.data());
      }
      for (int64_t c = 0; c < valid; ++c)
        for (int i = 0; i < height; ++i)
          std::copy_n(sums.data() + (c * height + i) * stride, width,
                      out + ((image * channels + channel + c) * height + i) * width);
    }
  }

  template <int N>
  PRROI_INLINE void add_box(const T* const* grads, const Side<T>& x, const Side<T>& y, int64_t stride, T* means,
                            T* sums) const {
    int q0 = 0, q1 = 0;  // bins that touch the cells j .. j + N - 1
    for (int j = 0; j < x.cells; j += N) {
      while (q1 < pw && x.touched[q1].begin < j + N) ++q1;
      while (q0 < q1 && x.touched[q0].end <= j) ++q0;
      for (int p = 0; p < ph; ++p) {
        Lanes<T, N> sum[kGroup] = {};
        for (int q = q0; q < q1; ++q) {
          const Lanes<T, N> weights = lanes_at<N>(x.weights + q * x.cells + j);
          for (int c = 0; c < kGroup; ++c) sum[c] += grads[c][p * pw + q] * weights;
        }
        for (int c = 0; c < kGroup; ++c) lanes_at<N>(means + (p * kGroup + c) * N) = sum[c];
      }
      int p0 = 0, p1 = 0;  // bins that touch the row i
      for (int i = 0; i < y.cells; ++i) {
        while (p1 < ph && y.touched[p1].begin <= i) ++p1;
        while (p0 < p1 && y.touched[p0].end <= i) ++p0;
        T* row = sums + static_cast<int64_t>(y.first + i) * stride + x.first + j;
        Lanes<T, N> sum[kGroup];
        for (int c = 0; c < kGroup; ++c) sum[c] = lanes_at<N>(row + c * height * stride);
        for (int p = p0; p < p1; ++p) {
          const T weight = y.weights[p * y.cells + i];
          for (int c = 0; c < kGroup; ++c) sum[c] += weight * lanes_at<N>(means + (p * kGroup + c) * N);
        }
        for (int c = 0; c < kGroup; ++c) lanes_at<N>(row + c * height * stride) = sum[c];
      }
    }
  }
};

// --- backward to the boxes: one unit of work is one block of channels at one box ---------------------------------------
// The gradient to every weight first, summed over the channels; the chain rule from the weights to the edges once.

template <typename T>
struct BackwardRois {
  const T* grad;
  const Maps<T>& maps;
  const Boxes<T>& boxes;
  int ph, pw;
  double* out;  // [block][box][x0, y0, x1, y1]

  template <int N>
  PRROI_INLINE void run(int64_t begin, int64_t end) const {
    const std::vector<T> zeros(static_cast<size_t>(ph) * pw, T(0));
    std::vector<T> grad_x, grad_y;
    for (int64_t n = begin; n < end; ++n) {
      const int64_t block = n / boxes.count() * kBlock, r = n % boxes.count();
      const Side<T> x = boxes.x.side(r), y = boxes.y.side(r);
      grad_x.assign(static_cast<size_t>(pw) * x.cells, T(0));
      grad_y.assign(static_cast<size_t>(ph) * y.cells * N, T(0));
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
      for (int q = 0; q < pw; ++q)
        for (int i = x.touched[q].begin; i < x.touched[q].end; ++i)
          for (int k = 0; k < 2; ++k) result[2 * k] += grad_x[q * x.cells + i] * x.slopes[2 * (q * x.cells + i) + k];
      for (int p = 0; p < ph; ++p)
        for (int i = y.touched[p].begin; i < y.touched[p].end; ++i) {
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
    int q0 = 0, q1 = 0;  // bins that touch the cells j .. j + N - 1
    for (int j = 0; j < x.cells; j += N) {
      while (q1 < pw && x.touched[q1].begin < j + N) ++q1;
      while (q0 < q1 && x.touched[q0].end <= j) ++q0;
      for (int p = 0; p < ph; ++p) {
        Lanes<T, N> spread[kGroup] = {}, rows[kGroup] = {};
        for (int q = q0; q < q1; ++q) {
          const Lanes<T, N> weights = lanes_at<N>(x.weights + q * x.cells + j);
          for (int c = 0; c < kGroup; ++c) spread[c] += grads[c][p * pw + q] * weights;
        }
        for (int i = y.touched[p].begin; i < y.touched[p].end; ++i) {
          const int64_t at = static_cast<int64_t>(y.first + i) * maps.width + x.first + j;
          const T weight = y.weights[p * y.cells + i];
          Lanes<T, N> sum = lanes_at<N>(grad_y + (p * y.cells + i) * N);
          for (int c = 0; c < kGroup; ++c) {
            const Lanes<T, N> cells = lanes_at<N>(planes[c] + at);
            rows[c] += weight * cells;
            sum += spread[c] * cells;
          }
          lanes_at<N>(grad_y + (p * y.cells + i) * N) = sum;
        }
        for (int q = q0; q < q1; ++q) {
          Lanes<T, N> sum = lanes_at<N>(grad_x + q * x.cells + j);
          for (int c = 0; c < kGroup; ++c) sum += grads[c][p * pw + q] * rows[c];
          lanes_at<N>(grad_x + q * x.cells + j) = sum;
        }
      }
    }
  }
};

// --- the operators -----------------------------------------------------------------------------------------------------

template <typename T, typename Kernel>
void run_parallel(const Kernel& kernel, int64_t units, int64_t operations) {
  const int64_t grain = std::max<int64_t>(1, kGrain * units / std::max<int64_t>(operations, 1));
  torch::stable::parallel_for(0, units, grain, [&](int64_t begin, int64_t end) { prroi::run<T>(kernel, begin, end); });
}

// About how many vector operations it takes to go over the touched cells of all boxes.
template <typename T>
int64_t operations_for(const Boxes<T>& boxes, int64_t channels) {
  const int64_t count = std::max<int64_t>(boxes.count(), 1);
  return channels * boxes.y.touched_cells_of_all() * (boxes.x.touched_cells_of_all() / count / kPadding<T> + 1);
}

template <typename T>
void pool_as(const Tensor& features, const Tensor& rois, double scale, Tensor& out) {
  const Maps<T> maps(features);
  const int ph = static_cast<int>(out.size(2)), pw = static_cast<int>(out.size(3));
  const int bin_stride = std::max(pw, kPadding<T>);
  const Boxes<T> boxes(rois, features.size(0), Sides<T>(pw, maps.width, kPadding<T>, bin_stride),
                       Sides<T>(ph, maps.height, 1), scale);
  const Forward<T> kernel{maps, boxes, ph, pw, bin_stride, out.mutable_data_ptr<T>()};
  run_parallel<T>(kernel, divide_up(maps.channels, kGroup) * boxes.count(), 2 * operations_for(boxes, maps.channels));
}

template <typename T>
void pool_backward_features_as(const Tensor& grad, const Tensor& rois, double scale, Tensor& out) {
  const int64_t images = out.size(0), channels = out.size(1);
  const int height = static_cast<int>(out.size(2)), width = static_cast<int>(out.size(3));
  const int ph = static_cast<int>(grad.size(2)), pw = static_cast<int>(grad.size(3));
  const Boxes<T> boxes(rois, images, Sides<T>(pw, width, kPadding<T>), Sides<T>(ph, height, 1), scale);
  std::vector<std::vector<int64_t>> of_image(images);
  for (int64_t r = 0; r < boxes.count(); ++r) of_image[boxes.image[r]].push_back(r);
  const BackwardFeatures<T> kernel{grad.const_data_ptr<T>(), boxes, of_image, channels, height, width, ph, pw,
                                   out.mutable_data_ptr<T>()};
  run_parallel<T>(kernel, images * divide_up(channels, kGroup),
               2 * operations_for(boxes, channels) + out.numel() / kPadding<T>);
}

template <typename T>
void pool_backward_rois_as(const Tensor& grad, const Tensor& features, const Tensor& rois, double scale, Tensor& out) {
  const Maps<T> maps(features);
  const int ph = static_cast<int>(grad.size(2)), pw = static_cast<int>(grad.size(3));
  const Boxes<T> boxes(rois, features.size(0), Sides<T>(pw, maps.width, kPadding<T>), Sides<T>(ph, maps.height, 1), scale,
                       true);
  const int64_t blocks = divide_up(maps.channels, kBlock), count = boxes.count();
  std::vector<double> partial(blocks * count * 4);
  const BackwardRois<T> kernel{grad.const_data_ptr<T>(), maps, boxes, ph, pw, partial.data()};
  run_parallel<T>(kernel, blocks * count, 4 * operations_for(boxes, maps.channels));
  T* result = out.mutable_data_ptr<T>();
  for (int64_t r = 0; r < count; ++r) {
    result[5 * r] = 0;
    for (int k = 0; k < 4; ++k) {
      double sum = 0;
      for (int64_t b = 0; b < blocks; ++b) sum += partial[(b * count + r) * 4 + k];
      result[5 * r + 1 + k] = static_cast<T>(sum * scale);
    }
  }
}

Tensor packed(const Tensor& tensor) {
  return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor);
}

void check(const Tensor& maps, const char* name, const Tensor& rois) {
  STD_TORCH_CHECK(maps.dim() == 4, name, " must have four dimensions, not ", maps.dim());
  STD_TORCH_CHECK(rois.dim() == 2 && rois.size(1) == 5, "rois must be (R, 5)");
  const ScalarType type = maps.scalar_type();
  STD_TORCH_CHECK(type == ScalarType::Float || type == ScalarType::Double, name, " must be float32 or float64");
  STD_TORCH_CHECK(rois.scalar_type() == type, "rois must have the dtype of ", name);
}

void check_grad(const Tensor& grad, const Tensor& rois, int64_t channels) {
  STD_TORCH_CHECK(grad.size(0) == rois.size(0) && grad.size(1) == channels, "grad must be (R, C, ph, pw)");
}

Tensor pool(const Tensor& features, const Tensor& rois, int64_t ph, int64_t pw, double scale) {
  check(features, "features", rois);
  STD_TORCH_CHECK(ph > 0 && pw > 0, "pooled_height and pooled_width must be at least 1");
  Tensor out = torch::stable::new_empty(features, {rois.size(0), features.size(1), ph, pw});
  const auto run = features.scalar_type() == ScalarType::Double ? pool_as<double> : pool_as<float>;
  run(packed(features), packed(rois), scale, out);
  return out;
}

Tensor pool_backward_features(const Tensor& grad, const Tensor& rois, int64_t images, int64_t height, int64_t width,
                              double scale) {
  check(grad, "grad", rois);
  check_grad(grad, rois, grad.size(1));
  Tensor out = torch::stable::new_empty(grad, {images, grad.size(1), height, width});
  const auto run =
      grad.scalar_type() == ScalarType::Double ? pool_backward_features_as<double> : pool_backward_features_as<float>;
  run(packed(grad), packed(rois), scale, out);
  return out;
}

Tensor pool_backward_rois(const Tensor& grad, const Tensor& features, const Tensor& rois, double scale) {
  check(grad, "grad", rois);
  check(features, "features", rois);
  check_grad(grad, rois, features.size(1));
  Tensor out = torch::stable::new_empty(rois, {rois.size(0), 5});
  const auto run =
      grad.scalar_type() == ScalarType::Double ? pool_backward_rois_as<double> : pool_backward_rois_as<float>;
  run(packed(grad), packed(features), packed(rois), scale, out);
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(prroi_pool, CPU, m) {
  m.impl("pool", TORCH_BOX(&pool));
  m.impl("pool_backward_features", TORCH_BOX(&pool_backward_features));
  m.impl("pool_backward_rois", TORCH_BOX(&pool_backward_rois));
}
