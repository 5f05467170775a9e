// A grid of CUDA blocks on the host: the threads of a block are threads of the host, one block runs after the other.
#pragma once

#include <barrier>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

struct Grid {
  int x, y, z;
};

// What the kernels know of the block that they run in.
class EmulatedBlock {
 public:
  EmulatedBlock(int thread, int threads, Grid index, Grid grid, std::barrier<>& barrier)
      : thread_(thread), threads_(threads), index_(index), grid_(grid), barrier_(barrier) {}
  int thread() const { return thread_; }
  int threads() const { return threads_; }
  int x() const { return index_.x; }
  int y() const { return index_.y; }
  int z() const { return index_.z; }
  int grid_x() const { return grid_.x; }
  int grid_y() const { return grid_.y; }
  int grid_z() const { return grid_.z; }
  void sync() const { barrier_.arrive_and_wait(); }

 private:
  int thread_, threads_;
  Grid index_, grid_;
  std::barrier<>& barrier_;
};

// Runs kernel(shared, block) for every thread of the grid. Every block starts with memory full of NaN, alone on the
// heap: a value that was never written poisons the result, and a sanitizer sees what lies beyond.
template <typename Shared, typename Kernel>
void run_grid(Grid grid, int threads, const Kernel& kernel) {
  std::barrier<> barrier(threads);
  std::unique_ptr<Shared> shared;
  const auto run_thread = [&](int thread) {
    for (int z = 0; z < grid.z; ++z)
      for (int y = 0; y < grid.y; ++y)
        for (int x = 0; x < grid.x; ++x) {
          if (thread == 0) {
            shared.reset(new Shared);
            std::memset(static_cast<void*>(shared.get()), 0xff, sizeof(Shared));
          }
          barrier.arrive_and_wait();
          kernel(*shared, EmulatedBlock(thread, threads, {x, y, z}, grid, barrier));
          barrier.arrive_and_wait();
        }
  };
  std::vector<std::thread> others;
  for (int thread = 1; thread < threads; ++thread) others.emplace_back(run_thread, thread);
  run_thread(0);
  for (auto& other : others) other.join();
}
