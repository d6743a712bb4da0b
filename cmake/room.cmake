# postern_room(<name> [DEPENDS <room>...] [LIBRARIES <target>...] [PRECOMPILE <header>...]
#              [EXCLUDE <source>...])
#
# The only way to declare a room. A room is one library, compiled from src/<name>/*.cpp, with an
# include root of its own: a build folder that holds a single link to src/<name>. A room sees the
# include roots of the rooms it depends on and no others, so an upward include does not compile.
function(postern_room name)
  cmake_parse_arguments(ROOM "" "" "DEPENDS;LIBRARIES;PRECOMPILE;EXCLUDE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
  foreach(excluded ${ROOM_EXCLUDE})
    list(REMOVE_ITEM sources ${CMAKE_SOURCE_DIR}/src/${name}/${excluded})
  endforeach()
  set(root ${CMAKE_BINARY_DIR}/rooms/${name})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${name} ${root}/${name} SYMBOLIC)
  file(GLOB_RECURSE headers FOLLOW_SYMLINKS CONFIGURE_DEPENDS ${root}/${name}/*.h)

  list(TRANSFORM ROOM_DEPENDS PREPEND postern_ OUTPUT_VARIABLE depends)
  if(sources)
    if(POSTERN_LAYERS)
      add_library(postern_${name} SHARED ${sources})
      target_link_options(postern_${name} PRIVATE -Wl,-z,defs)
    else()
      add_library(postern_${name} STATIC ${sources})
    endif()
    target_include_directories(postern_${name} PUBLIC ${root})
    target_link_libraries(postern_${name} PUBLIC ${depends} ${ROOM_LIBRARIES} PRIVATE postern_flags)
    target_sources(postern_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${root} FILES ${headers})
    set_target_properties(postern_${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
    postern_precompile(postern_${name} ${ROOM_PRECOMPILE})
  else()
    add_library(postern_${name} INTERFACE)
    target_include_directories(postern_${name} INTERFACE ${root})
    target_link_libraries(postern_${name} INTERFACE ${depends} ${ROOM_LIBRARIES})
  endif()
endfunction()

# postern_precompile(<target> <header>...)
#
# Compiles heavy library headers once a target: those that every room has, and the ones given. Only
# libraries: our own headers must stand alone, which the header check of `script/test --full` sees
# to, since it compiles each of them without these.
function(postern_precompile target)
  target_precompile_headers(${target} PRIVATE <chrono> <expected> <functional> <map> <memory>
    <optional> <string> <string_view> <vector> ${ARGN})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # Lets ccache reuse what was compiled with an equal precompiled header.
    target_compile_options(${target} PRIVATE -Xclang -fno-pch-timestamp)
  endif()
endfunction()

# postern_add_gtest(<target> [<argument>...])
#
# One test of ctest a binary: a process for each of hundreds of tests took longer than the tests.
# To run one of them: build/dev/tests/store_test --gtest_filter=PowerCut.*
function(postern_add_gtest target)
  add_test(NAME ${target} COMMAND ${target} --gtest_brief=1 ${ARGN})
  set_tests_properties(${target} PROPERTIES TIMEOUT 1200)
endfunction()

# postern_test(<room> [LIBRARIES <target>...] [SOURCES <source>...] [ARGUMENTS <argument>...])
#
# One test binary a room, from tests/<room>/*_test.cpp, linked with that room alone, so that a
# missing dependency shows up here and is not hidden by a neighbour.
function(postern_test room)
  cmake_parse_arguments(TEST "" "" "LIBRARIES;SOURCES;ARGUMENTS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${room}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(${room}_test ${sources} ${TEST_SOURCES})
  target_include_directories(${room}_test PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_definitions(${room}_test PRIVATE POSTERN_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_link_libraries(${room}_test PRIVATE postern_${room} ${TEST_LIBRARIES} postern_flags
    GTest::gtest GTest::gmock GTest::gtest_main)
  postern_precompile(${room}_test <gtest/gtest.h>)
  postern_add_gtest(${room}_test ${TEST_ARGUMENTS})
endfunction()
