# Compile options that every target shares, in one interface library.
add_library(vtshim_options INTERFACE)
target_compile_definitions(vtshim_options INTERFACE _GNU_SOURCE VTSHIM_VERSION="${PROJECT_VERSION}")
target_include_directories(vtshim_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(vtshim_options INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -Wformat=2 -Wundef -Wpointer-arith -fno-common)
if(VTSHIM_WERROR)
  target_compile_options(vtshim_options INTERFACE -Werror)
endif()
if(VTSHIM_SANITIZE)
  target_compile_options(vtshim_options INTERFACE
    -fsanitize=${VTSHIM_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(vtshim_options INTERFACE -fsanitize=${VTSHIM_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_options(vtshim_options INTERFACE -D_FORTIFY_SOURCE=2 -fstack-protector-strong)
  target_link_options(vtshim_options INTERFACE -Wl,-z,relro,-z,now)
endif()
