// The published way to do Precise RoI pooling on a GPU, written anew to have something to compare with: one thread per
// output, which works out the geometry of its bin for itself, in float; gradients are added up with atomics.
// float32 only.

#if !defined(USE_CUDA)
#define USE_CUDA  // torch's stable headers show their functions for CUDA only with it
#endif

#include <cuda_runtime.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cstdint>

namespace {

using torch::stable::Tensor;

constexpr int kThreads = 512;

struct Sizes {
  int channels, height, width, bins_y, bins_x;
  float scale;
};

// The bin of one output: its extent in cells of the map, and where its map and its box lie.
struct Bin {
  int roi, ky, kx;
  int64_t plane;
  float x0, x1, y0, y1, size_x, size_y;

  __device__ Bin(int64_t output, const Sizes& s, const float* rois) {
    kx = output % s.bins_x;
    ky = output / s.bins_x % s.bins_y;
    const int channel = output / s.bins_x / s.bins_y % s.channels;
    roi = output / s.bins_x / s.bins_y / s.channels;
    const float* box = rois + roi * 5;
    plane = (static_cast<int64_t>(box[0]) * s.channels + channel) * s.height * s.width;
    size_x = fmaxf(box[3] - box[1], 0.f) * s.scale / s.bins_x;
    size_y = fmaxf(box[4] - box[2], 0.f) * s.scale / s.bins_y;
    x0 = box[1] * s.scale + kx * size_x;
    y0 = box[2] * s.scale + ky * size_y;
    x1 = x0 + size_x;
    y1 = y0 + size_y;
  }
  __device__ float area() const { return size_x * size_y; }
};

__device__ bool inside(int y, int x, const Sizes& s) { return y >= 0 && x >= 0 && y < s.height && x < s.width; }

__device__ float cell(const float* plane, int y, int x, const Sizes& s) {
  return inside(y, x, s) ? plane[y * s.width + x] : 0.f;
}

// Integrals of 1 - t and of t over [a, b].
__device__ void integrals(float a, float b, float* falling, float* rising) {
  *rising = 0.5f * (b * b - a * a);
  *falling = b - a - *rising;
}

// Calls add(y, x, weight) for the four corners of every unit square that the bin touches.
template <typename Add>
__device__ void visit_corners(const Bin& bin, const Add& add) {
  for (int i = floorf(bin.y0); i < ceilf(bin.y1); ++i) {
    float top, bottom;
    integrals(fmaxf(bin.y0 - i, 0.f), fminf(bin.y1 - i, 1.f), &top, &bottom);
    for (int j = floorf(bin.x0); j < ceilf(bin.x1); ++j) {
      float left, right;
      integrals(fmaxf(bin.x0 - j, 0.f), fminf(bin.x1 - j, 1.f), &left, &right);
      add(i, j, top * left);
      add(i, j + 1, top * right);
      add(i + 1, j, bottom * left);
      add(i + 1, j + 1, bottom * right);
    }
  }
}

// Integral of the map along a side of the bin: at the coordinate `at`, from `begin` to `end` on the other axis.
template <bool kVertical>
__device__ float along(const float* plane, float at, float begin, float end, const Sizes& s) {
  const int near = floorf(at);
  const float beyond = at - near;
  float sum = 0;
  for (int i = floorf(begin); i < ceilf(end); ++i) {
    float first, last;
    integrals(fmaxf(begin - i, 0.f), fminf(end - i, 1.f), &first, &last);
    for (int side = 0; side < 2; ++side) {
      const float weight = side ? beyond : 1 - beyond;
      const int j = near + side;
      sum += weight * first * (kVertical ? cell(plane, i, j, s) : cell(plane, j, i, s));
      sum += weight * last * (kVertical ? cell(plane, i + 1, j, s) : cell(plane, j, i + 1, s));
    }
  }
  return sum;
}

__device__ int64_t first_output() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ int64_t next_output() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

__global__ void forward_kernel(int64_t outputs, Sizes s, const float* features, const float* rois, float* out) {
  for (int64_t n = first_output(); n < outputs; n += next_output()) {
    const Bin bin(n, s, rois);
    float sum = 0;
    if (bin.area() > 0)
      visit_corners(bin, [&](int y, int x, float weight) { sum += weight * cell(features + bin.plane, y, x, s); });
    out[n] = bin.area() > 0 ? sum / bin.area() : 0.f;
  }
}

__global__ void backward_features_kernel(int64_t outputs, Sizes s, const float* grad, const float* rois, float* out) {
  for (int64_t n = first_output(); n < outputs; n += next_output()) {
    const Bin bin(n, s, rois);
    if (!(bin.area() > 0)) continue;
    const float factor = grad[n] / bin.area();
    visit_corners(bin, [&](int y, int x, float weight) {
      if (inside(y, x, s)) atomicAdd(out + bin.plane + y * s.width + x, weight * factor);
    });
  }
}

__global__ void backward_rois_kernel(int64_t outputs, Sizes s, const float* grad, const float* features,
                                     const float* rois, const float* pooled, float* out) {
  for (int64_t n = first_output(); n < outputs; n += next_output()) {
    const Bin bin(n, s, rois);
    if (!(bin.area() > 0)) continue;
    const float* plane = features + bin.plane;
    const float mean = pooled[n], factor = grad[n] * s.scale;
    const float left = (mean - along<true>(plane, bin.x0, bin.y0, bin.y1, s) / bin.size_y) / bin.size_x;
    const float right = (along<true>(plane, bin.x1, bin.y0, bin.y1, s) / bin.size_y - mean) / bin.size_x;
    const float top = (mean - along<false>(plane, bin.y0, bin.x0, bin.x1, s) / bin.size_x) / bin.size_y;
    const float bottom = (along<false>(plane, bin.y1, bin.x0, bin.x1, s) / bin.size_x - mean) / bin.size_y;
    const float x = static_cast<float>(bin.kx) / s.bins_x, x_next = static_cast<float>(bin.kx + 1) / s.bins_x;
    const float y = static_cast<float>(bin.ky) / s.bins_y, y_next = static_cast<float>(bin.ky + 1) / s.bins_y;
    float* to = out + bin.roi * 5;
    atomicAdd(to + 1, factor * (left * (1 - x) + right * (1 - x_next)));
    atomicAdd(to + 2, factor * (top * (1 - y) + bottom * (1 - y_next)));
    atomicAdd(to + 3, factor * (left * x + right * x_next));
    atomicAdd(to + 4, factor * (top * y + bottom * y_next));
  }
}

cudaStream_t stream_of(const Tensor& tensor) {
  void* stream = nullptr;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(tensor.get_device_index(), &stream));
  return static_cast<cudaStream_t>(stream);
}

unsigned blocks_for(int64_t outputs) {
  return static_cast<unsigned>(std::min<int64_t>((outputs + kThreads - 1) / kThreads, 1 << 30));
}

Sizes sizes_of(int64_t channels, int64_t height, int64_t width, int64_t bins_y, int64_t bins_x, double scale) {
  return {static_cast<int>(channels), static_cast<int>(height), static_cast<int>(width),
          static_cast<int>(bins_y),   static_cast<int>(bins_x), static_cast<float>(scale)};
}

const float* read(const Tensor& tensor) { return static_cast<const float*>(tensor.const_data_ptr()); }
float* write(const Tensor& tensor) { return static_cast<float*>(tensor.mutable_data_ptr()); }

Tensor forward(const Tensor& features, const Tensor& rois, int64_t bins_y, int64_t bins_x, double scale) {
  const Tensor out = torch::stable::new_empty(features, {rois.size(0), features.size(1), bins_y, bins_x});
  const Sizes s = sizes_of(features.size(1), features.size(2), features.size(3), bins_y, bins_x, scale);
  forward_kernel<<<blocks_for(out.numel()), kThreads, 0, stream_of(features)>>>(out.numel(), s, read(features),
                                                                              read(rois), write(out));
  STD_CUDA_KERNEL_LAUNCH_CHECK();
  return out;
}

Tensor backward_features(const Tensor& grad, const Tensor& rois, int64_t images, int64_t height, int64_t width,
                         double scale) {
  const Tensor out = torch::stable::new_zeros(grad, {images, grad.size(1), height, width});
  const Sizes s = sizes_of(grad.size(1), height, width, grad.size(2), grad.size(3), scale);
  backward_features_kernel<<<blocks_for(grad.numel()), kThreads, 0, stream_of(grad)>>>(grad.numel(), s, read(grad),
                                                                                     read(rois), write(out));
  STD_CUDA_KERNEL_LAUNCH_CHECK();
  return out;
}

Tensor backward_rois(const Tensor& grad, const Tensor& features, const Tensor& rois, const Tensor& pooled,
                     double scale) {
  const Tensor out = torch::stable::new_zeros(rois, {rois.size(0), 5});
  const Sizes s = sizes_of(grad.size(1), features.size(2), features.size(3), grad.size(2), grad.size(3), scale);
  backward_rois_kernel<<<blocks_for(grad.numel()), kThreads, 0, stream_of(grad)>>>(
      grad.numel(), s, read(grad), read(features), read(rois), read(pooled), write(out));
  STD_CUDA_KERNEL_LAUNCH_CHECK();
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY(prroi_pool_published, m) {
  m.def("forward(Tensor features, Tensor rois, int bins_y, int bins_x, float scale) -> Tensor");
  m.def("backward_features(Tensor grad, Tensor rois, int images, int height, int width, float scale) -> Tensor");
  m.def("backward_rois(Tensor grad, Tensor features, Tensor rois, Tensor pooled, float scale) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(prroi_pool_published, CUDA, m) {
  m.impl("forward", TORCH_BOX(&forward));
  m.impl("backward_features", TORCH_BOX(&backward_features));
  m.impl("backward_rois", TORCH_BOX(&backward_rois));
}
