# One target carries every flag, so that all rooms are compiled alike.
add_library(postern_flags INTERFACE)
target_compile_options(postern_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  -Wimplicit-fallthrough -Werror -fstack-protector-strong -fno-plt)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # Leaving the other fields at their defaults is what designated initialisers are for.
  target_compile_options(postern_flags INTERFACE -Wthread-safety
    -Wno-missing-designated-field-initializers)
  target_link_options(postern_flags INTERFACE -fuse-ld=mold)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  # script/check_hardening proves each of these on the binary. Memory of a local variable is zero
  # until it is set, so that none of it can be told to a stranger.
  target_compile_definitions(postern_flags INTERFACE _FORTIFY_SOURCE=3 _GLIBCXX_ASSERTIONS)
  target_compile_options(postern_flags INTERFACE
    -fPIE -fstack-clash-protection -fcf-protection=full -ftrivial-auto-var-init=zero)
  target_link_options(postern_flags INTERFACE
    -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code)
  set(CMAKE_SKIP_RPATH ON)
endif()
if(POSTERN_SANITIZE)
  target_compile_options(postern_flags INTERFACE
    -fsanitize=${POSTERN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(postern_flags INTERFACE -fsanitize=${POSTERN_SANITIZE})
endif()
if(POSTERN_FAILPOINTS)
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    message(FATAL_ERROR "Failpoints and planted faults never go into a release build.")
  endif()
  target_compile_definitions(postern_flags INTERFACE POSTERN_FAILPOINTS=1)
endif()
