# cmake --install, and cpack for a Debian package.
include(GNUInstallDirs)
set(poa_library_dir ${CMAKE_INSTALL_PREFIX}/lib/poa)

install(TARGETS poa RUNTIME DESTINATION bin)
install(TARGETS libpoa LIBRARY DESTINATION lib)
install(FILES include/poa.h DESTINATION include)
install(TARGETS poart poa_program poa_no_images ARCHIVE DESTINATION lib/poa)
if(TARGET poa_images)
  install(TARGETS poa_images ARCHIVE DESTINATION lib/poa)
endif()
foreach(name ${POA_STATIC_LIBRARIES})
  install(FILES ${CMAKE_BINARY_DIR}/${name} DESTINATION lib/poa)
endforeach()
install(DIRECTORY models/ DESTINATION share/poa/models FILES_MATCHING PATTERN "*.poa")
install(DIRECTORY docs examples DESTINATION share/doc/poa)
install(FILES README.md DESTINATION share/doc/poa)
install(FILES LICENSE DESTINATION share/doc/poa RENAME copyright)

# OpenMP's runtime lies in a folder of LLVM's own.
if(POA_LIBOMP)
  set_target_properties(poa libpoa PROPERTIES INSTALL_RPATH ${LLVM_LIBRARY_DIR})
endif()

configure_file(cmake/poa.pc.in poa.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/poa.pc DESTINATION lib/pkgconfig)

# Manual pages, from what `poa help` says.
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/man/poa.1
  COMMAND poa help --man ${CMAKE_BINARY_DIR}/man DEPENDS poa)
add_custom_target(man ALL DEPENDS ${CMAKE_BINARY_DIR}/man/poa.1)
install(DIRECTORY ${CMAKE_BINARY_DIR}/man/ DESTINATION share/man/man1)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME poa)
set(CPACK_PACKAGE_VENDOR "poa developers")
set(CPACK_PACKAGE_CONTACT "poa developers <poa@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "pre-trains one elastic network, hands out models of all sizes")
set(CPACK_PACKAGE_DESCRIPTION "poa is a dataflow graph compiler and runtime. It pre-trains an elastic
network once and makes models of every size of it: as weights, programs, libraries and ONNX files.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "gcc | clang, libc6-dev")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
include(CPack)
