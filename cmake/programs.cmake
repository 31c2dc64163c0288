# What `poa compile` links programs with. They are to need libc, libm and the OpenMP runtime alone, so
# the rest is static; copies of those libraries lie beside libpoart.a, in the build and where poa
# is installed, and programs can be made where no development package is.
function(poa_take_static_library variable)
  find_library(${variable} NAMES ${ARGN} REQUIRED)
  file(COPY ${${variable}} DESTINATION ${CMAKE_BINARY_DIR})
  get_filename_component(name ${${variable}} NAME)
  set(POA_STATIC_LIBRARIES ${POA_STATIC_LIBRARIES} ${name} PARENT_SCOPE)
endfunction()
poa_take_static_library(POA_STATIC_JSON libjansson.a)
poa_take_static_library(POA_STATIC_ZLIB libz.a)
poa_take_static_library(POA_STATIC_FFI libffi_pic.a libffi.a)
string(REPLACE ";" "|" static_libraries "${POA_STATIC_LIBRARIES}")

# The versioned file is there also where nothing is developed.
if(POA_LIBOMP)
  file(GLOB libomp ${LLVM_LIBRARY_DIR}/libomp.so.[0-9])
  if(NOT libomp)
    set(libomp ${POA_LIBOMP})
  endif()
  set(openmp_flags "${libomp}|-Wl,-rpath,${LLVM_LIBRARY_DIR}")
else()
  set(openmp_flags "-fopenmp")
endif()
set(flags "-Wl,--gc-sections|${openmp_flags}|-lm|-pthread")
if(POA_SANITIZE)
  string(APPEND flags "|-fsanitize=address,undefined")
endif()

set(image_libraries "")
add_dependencies(poa_driver poa_no_images) # programs are linked with it, not the command
if(TARGET poa_images)
  set(others ${POA_STATIC_LIBRARIES})
  set(POA_STATIC_LIBRARIES "")
  poa_take_static_library(POA_STATIC_JPEG libjpeg.a)
  poa_take_static_library(POA_STATIC_PNG libpng16.a libpng.a)
  if(WEBP_FOUND)
    poa_take_static_library(POA_STATIC_WEBP libwebp.a)
  endif()
  string(REPLACE ";" "|" image_libraries "${POA_STATIC_LIBRARIES}")
  list(APPEND POA_STATIC_LIBRARIES ${others})
endif()
target_compile_definitions(poa_driver PRIVATE
  POA_MODELS_DIR="${CMAKE_SOURCE_DIR}/models" POA_STATIC_LIBRARIES="${static_libraries}"
  POA_LINK_FLAGS="${flags}"
  POA_OPENMP_FLAGS="${openmp_flags}" POA_IMAGE_LIBRARIES="${image_libraries}")
