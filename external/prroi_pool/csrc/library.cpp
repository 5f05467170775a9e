// The operators' schema, and the Python module whose import registers it and the CPU kernels.

#define Py_LIMITED_API 0x030a0000
#include <Python.h>

#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY(prroi_pool, m) {
  m.def(
      "pool(Tensor features, Tensor rois, int pooled_height, int pooled_width, float spatial_scale) -> Tensor");
  m.def(
      "pool_backward_features(Tensor grad, Tensor rois, int images, int height, int width, float spatial_scale)"
      " -> Tensor");
  m.def("pool_backward_rois(Tensor grad, Tensor features, Tensor rois, float spatial_scale) -> Tensor");
}

PyMODINIT_FUNC PyInit__C(void) {
  static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_C",    "Operators of Precise RoI pooling.", -1, nullptr,
                               nullptr,               nullptr, nullptr,                             nullptr};
  return PyModule_Create(&module);
}
