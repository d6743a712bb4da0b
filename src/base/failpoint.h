#pragma once

namespace postern {

#ifdef POSTERN_FAILPOINTS
/// Kills the process with SIGKILL the n-th time the point called `name` is reached, where the
/// environment says POSTERN_FAILPOINT="name:n". Compiled out of release builds.
void failpoint(const char* name);
/// Whether the environment plants the fault called `name` (POSTERN_PLANTED_FAULT=name): a
/// deliberately wrong behaviour that a test rig must report. Compiled out of release builds.
[[nodiscard]] bool planted_fault(const char* name);
/// Holds a planted fault open for 2 ms, so that a rig from outside has a chance to meet it.
void planted_pause();
#else
inline void failpoint(const char* /*name*/) {}
[[nodiscard]] constexpr bool planted_fault(const char* /*name*/) {
  return false;
}
inline void planted_pause() {}
#endif

}  // namespace postern
