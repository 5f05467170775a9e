// Precise RoI pooling on CUDA: the kernels of cuda_kernels.cuh and cuda_gather.cuh as operators.

#define Py_LIMITED_API 0x030a0000
#include <Python.h>

#if !defined(USE_CUDA)
#define USE_CUDA  // torch's stable headers show their functions for CUDA only with it
#endif

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include <algorithm>
#include <climits>
#include <cstdint>

#include "cuda_gather.cuh"
#include "cuda_kernels.cuh"

namespace prroi {

template <>
struct Number<__half> {
  using Acc = float;
  static PRROI_DEVICE float widen(__half value) { return __half2float(value); }
  static PRROI_DEVICE __half narrow(float value) { return __float2half(value); }
};

template <>
struct Number<__nv_bfloat16> {
  using Acc = float;
  static PRROI_DEVICE float widen(__nv_bfloat16 value) { return __bfloat162float(value); }
  static PRROI_DEVICE __nv_bfloat16 narrow(float value) { return __float2bfloat16(value); }
};

}  // namespace prroi

namespace {

using prroi::AccOf;
using prroi::Parts;
using prroi::Sizes;
using prroi::Tiles;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// Threads of a block, and how many blocks are enough to fill any GPU: more work then goes to each block. The numbers
// are fixed, so that the results do not depend on the device.
constexpr int kPoolThreads = 128, kPoolBlocks = 4096;
constexpr int kRoisThreads = 256, kRoisBlocks = 1024;
constexpr int kSumThreads = 64;
constexpr int kGatherThreads = 256, kGatherBlocks = 2048;

struct CudaBlock {
  __device__ int thread() const { return static_cast<int>(threadIdx.x); }
  __device__ int threads() const { return static_cast<int>(blockDim.x); }
  __device__ int x() const { return static_cast<int>(blockIdx.x); }
  __device__ int y() const { return static_cast<int>(blockIdx.y); }
  __device__ int z() const { return static_cast<int>(blockIdx.z); }
  __device__ int grid_x() const { return static_cast<int>(gridDim.x); }
  __device__ int grid_y() const { return static_cast<int>(gridDim.y); }
  __device__ int grid_z() const { return static_cast<int>(gridDim.z); }
  __device__ void sync() const { __syncthreads(); }
};

template <bool kColumns, typename T>
__global__ void __launch_bounds__(kPoolThreads, 6)
    pool_kernel(Sizes sizes, Parts parts, const T* __restrict__ features, const AccOf<T>* __restrict__ rois,
                T* __restrict__ out) {
  __shared__ prroi::PartTables<AccOf<T>, 1> shared;
  prroi::pool_block<kColumns>(sizes, parts, features, rois, out, shared, CudaBlock{});
}

template <typename T>
__global__ void __launch_bounds__(kGatherThreads, 3)
    backward_features_kernel(Sizes sizes, Tiles tiles, const T* __restrict__ grad, const AccOf<T>* __restrict__ rois,
                             T* __restrict__ out) {
  __shared__ prroi::GatherShared<AccOf<T>, kGatherThreads> shared;
  prroi::backward_features_block(sizes, tiles, grad, rois, out, shared, CudaBlock{});
}

template <bool kColumns, typename T>
__global__ void __launch_bounds__(kRoisThreads, 2)
    backward_rois_kernel(Sizes sizes, Parts parts, const T* __restrict__ grad, const T* __restrict__ features,
                         const AccOf<T>* __restrict__ rois, AccOf<T>* __restrict__ out) {
  __shared__ prroi::RoisShared<AccOf<T>, kRoisThreads> shared;
  prroi::backward_rois_block<kColumns>(sizes, parts, grad, features, rois, out, shared, CudaBlock{});
}

template <typename Acc>
__global__ void __launch_bounds__(kSumThreads)
    sum_parts_kernel(int rois, int count, const Acc* __restrict__ partial, Acc* __restrict__ out) {
  __shared__ prroi::BoxSums<Acc, kSumThreads> shared;
  prroi::sum_parts_block(rois, count, partial, out, shared, CudaBlock{});
}

dim3 grid_of(int64_t x, int64_t y, int64_t z) {
  constexpr int64_t most_x = INT_MAX, most = 65535;  // the kernels' loops take what is beyond
  return dim3(static_cast<unsigned>(std::min(x, most_x)), static_cast<unsigned>(std::min(y, most)),
              static_cast<unsigned>(std::min(z, most)));
}

cudaStream_t current_stream(const Tensor& tensor) {
  void* stream = nullptr;
  TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(tensor.get_device_index(), &stream));
  return static_cast<cudaStream_t>(stream);
}

void check_launch(const char* name) {
  const cudaError_t error = cudaGetLastError();
  const bool other_device = error == cudaErrorNoKernelImageForDevice || error == cudaErrorUnsupportedPtxVersion;
  STD_TORCH_CHECK(error == cudaSuccess, "prroi_pool::", name, " could not be started: ", cudaGetErrorString(error),
                  other_device ? "; it was built for other GPUs: run python setup.py build_ext --inplace here" : "");
}

bool is_half(ScalarType type) { return type == ScalarType::Half || type == ScalarType::BFloat16; }

ScalarType sum_type(ScalarType type) { return type == ScalarType::Double ? type : ScalarType::Float; }

int size_of(const Tensor& tensor, int64_t dim, const char* name) {
  const int64_t size = tensor.size(dim);
  STD_TORCH_CHECK(size <= INT_MAX, name, " has ", size, " elements along dimension ", dim, ": at most ", INT_MAX);
  return static_cast<int>(size);
}

// The boxes as the kernels take them: contiguous, and in the type of the sums.
Tensor read_rois(const Tensor& rois, const Tensor& features, const char* features_name) {
  const ScalarType type = features.scalar_type(), given = rois.scalar_type();
  STD_TORCH_CHECK(rois.dim() == 2 && rois.size(1) == 5, "rois must be (R, 5) with rows [batch_index, x0, y0, x1, y1]");
  STD_TORCH_CHECK(rois.is_cuda() && rois.get_device_index() == features.get_device_index(), "rois and ", features_name,
                  " must be on one device");
  STD_TORCH_CHECK(given == type || (given == ScalarType::Float && is_half(type)), "rois and ", features_name,
                  " must have one dtype; float32 rois may come with half precision ", features_name);
  const Tensor converted = given == sum_type(type) ? rois : torch::stable::to(rois, sum_type(type));
  return torch::stable::contiguous(converted);
}

Sizes map_sizes(const Tensor& features, double scale) {
  Sizes sizes{};
  sizes.images = size_of(features, 0, "features");
  sizes.channels = size_of(features, 1, "features");
  sizes.height = size_of(features, 2, "features");
  sizes.width = size_of(features, 3, "features");
  sizes.scale = scale;
  return sizes;
}

void take_bins(const Tensor& grad, const Tensor& rois, Sizes* sizes) {
  STD_TORCH_CHECK(grad.is_cuda() && grad.dim() == 4 && rois.dim() == 2 && grad.size(0) == rois.size(0),
                  "grad must be (R, C, pooled_height, pooled_width) on the device of rois");
  sizes->rois = size_of(grad, 0, "grad");
  sizes->channels = size_of(grad, 1, "grad");
  sizes->bins_y = size_of(grad, 2, "grad");
  sizes->bins_x = size_of(grad, 3, "grad");
}

template <typename Run>
void dispatch(ScalarType type, const Run& run) {
  switch (type) {
    case ScalarType::Half:
      return run(__half());
    case ScalarType::BFloat16:
      return run(__nv_bfloat16());
    case ScalarType::Float:
      return run(float());
    case ScalarType::Double:
      return run(double());
    default:
      STD_TORCH_CHECK(false, "features must be float16, bfloat16, float32 or float64");
  }
}

template <typename T>
const T* read(const Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}

template <typename T>
T* write(const Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

Parts checked_parts(const Sizes& sizes, int threads, int blocks) {
  const Parts parts = prroi::plan_parts(sizes, threads, blocks);
  STD_TORCH_CHECK(parts.count() <= INT_MAX, "too many bins: ", sizes.bins_y, " x ", sizes.bins_x);
  return parts;
}

Tensor pool(const Tensor& features, const Tensor& rois, int64_t pooled_height, int64_t pooled_width, double scale) {
  STD_TORCH_CHECK(features.is_cuda() && features.dim() == 4, "features must be (N, C, H, W) on a CUDA device");
  STD_TORCH_CHECK(pooled_height > 0 && pooled_width > 0 && pooled_height <= INT_MAX && pooled_width <= INT_MAX,
                  "pooled_height and pooled_width must be at least 1");
  const torch::stable::accelerator::DeviceGuard guard(features.get_device_index());
  const Tensor boxes = read_rois(rois, features, "features"), maps = torch::stable::contiguous(features);
  Sizes sizes = map_sizes(features, scale);
  sizes.rois = size_of(rois, 0, "rois");
  sizes.bins_y = static_cast<int>(pooled_height);
  sizes.bins_x = static_cast<int>(pooled_width);
  const Tensor out = torch::stable::new_empty(features, {rois.size(0), features.size(1), pooled_height, pooled_width});
  if (out.numel() == 0) return out;
  const Parts parts = checked_parts(sizes, kPoolThreads, kPoolBlocks);
  dispatch(features.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    const auto kernel = parts.column > 1 ? &pool_kernel<true, T> : &pool_kernel<false, T>;
    kernel<<<grid_of(sizes.rois, parts.count(), 1), kPoolThreads, 0, current_stream(features)>>>(
        sizes, parts, read<T>(maps), read<AccOf<T>>(boxes), write<T>(out));
  });
  check_launch("pool");
  return out;
}

Tensor pool_backward_features(const Tensor& grad, const Tensor& rois, int64_t images, int64_t height, int64_t width,
                              double scale) {
  const torch::stable::accelerator::DeviceGuard guard(grad.get_device_index());
  Sizes sizes{};
  take_bins(grad, rois, &sizes);
  STD_TORCH_CHECK(std::min({images, height, width}) >= 0 && std::max({images, height, width}) <= INT_MAX,
                  "images, height and width must be sizes of a map");
  sizes.images = static_cast<int>(images);
  sizes.height = static_cast<int>(height);
  sizes.width = static_cast<int>(width);
  sizes.scale = scale;
  const Tensor boxes = read_rois(rois, grad, "grad"), values = torch::stable::contiguous(grad);
  const Tensor out = torch::stable::new_empty(grad, {images, grad.size(1), height, width});
  if (out.numel() == 0) return out;
  const Tiles tiles = prroi::plan_tiles(sizes, kGatherThreads, kGatherBlocks);
  const int64_t count = static_cast<int64_t>(tiles.tiles_y) * tiles.tiles_x;
  STD_TORCH_CHECK(count <= INT_MAX, "a map of ", height, " x ", width, " cells is too large");
  const dim3 grid = grid_of(count, tiles.group_rows, images);
  dispatch(grad.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    backward_features_kernel<T><<<grid, kGatherThreads, 0, current_stream(grad)>>>(
        sizes, tiles, read<T>(values), read<AccOf<T>>(boxes), write<T>(out));
  });
  check_launch("pool_backward_features");
  return out;
}

Tensor pool_backward_rois(const Tensor& grad, const Tensor& features, const Tensor& rois, double scale) {
  const torch::stable::accelerator::DeviceGuard guard(grad.get_device_index());
  STD_TORCH_CHECK(features.is_cuda() && features.dim() == 4 && features.scalar_type() == grad.scalar_type() &&
                      features.get_device_index() == grad.get_device_index(),
                  "features must be (N, C, H, W) with the dtype and on the device of grad");
  Sizes sizes = map_sizes(features, scale);
  take_bins(grad, rois, &sizes);
  STD_TORCH_CHECK(features.size(1) == grad.size(1), "features and grad must have the same channels");
  const Tensor boxes = read_rois(rois, features, "features"), values = torch::stable::contiguous(grad);
  const Tensor maps = torch::stable::contiguous(features);
  if (grad.numel() == 0) return torch::stable::new_zeros(rois, {rois.size(0), 5});
  const Tensor out = torch::stable::new_empty(boxes, {rois.size(0), 5});
  const Parts parts = checked_parts(sizes, kRoisThreads, kRoisBlocks);
  const bool whole = parts.count() == 1;
  const Tensor partial = whole ? out : torch::stable::new_empty(boxes, {rois.size(0), parts.count(), 4});
  const cudaStream_t stream = current_stream(grad);
  dispatch(grad.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    using Acc = AccOf<T>;
    const auto kernel = parts.column > 1 ? &backward_rois_kernel<true, T> : &backward_rois_kernel<false, T>;
    kernel<<<grid_of(sizes.rois, parts.count(), 1), kRoisThreads, 0, stream>>>(
        sizes, parts, read<T>(values), read<T>(maps), read<Acc>(boxes), write<Acc>(partial));
    if (!whole)
      sum_parts_kernel<Acc><<<grid_of(sizes.rois, 1, 1), kSumThreads, 0, stream>>>(
          sizes.rois, static_cast<int>(parts.count()), read<Acc>(partial), write<Acc>(out));
  });
  check_launch("pool_backward_rois");
  return rois.scalar_type() == out.scalar_type() ? out : torch::stable::to(out, rois.scalar_type());
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(prroi_pool, CUDA, m) {
  m.impl("pool", TORCH_BOX(&pool));
  m.impl("pool_backward_features", TORCH_BOX(&pool_backward_features));
  m.impl("pool_backward_rois", TORCH_BOX(&pool_backward_rois));
}

PyMODINIT_FUNC PyInit__C_cuda(void) {
  static PyModuleDef module = {
      PyModuleDef_HEAD_INIT, "_C_cuda", "CUDA kernels of Precise RoI pooling.", -1, nullptr, nullptr, nullptr, nullptr,
      nullptr};
  return PyModule_Create(&module);
}
