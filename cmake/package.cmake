# What `script/package` puts into postern_VERSION_ARCH.deb. The package has no file in /etc: the
# configuration is the operator's own, so no upgrade ever asks about it.
install(TARGETS postern RUNTIME DESTINATION bin COMPONENT postern)
install(FILES packaging/systemd/postern@.service DESTINATION lib/systemd/system COMPONENT postern)
file(GLOB documents ${CMAKE_SOURCE_DIR}/docs/*.md)
install(FILES README.md README.zh-CN.md ${documents} DESTINATION share/doc/postern COMPONENT postern)
install(FILES packaging/examples/postern.toml DESTINATION share/doc/postern/examples
  COMPONENT postern)
install(FILES packaging/haproxy/haproxy.cfg DESTINATION share/doc/postern/examples
  COMPONENT postern)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME postern)
set(CPACK_PACKAGE_CONTACT "The Postern authors <postern@invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "gateway for payment callbacks")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
  "Takes the callbacks of Alipay and WeChat Pay, proves each, holds it against its order, stores it
durably and tells your systems exactly once in effect.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL postern)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# addgroup in postinst, kill in the unit.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, ca-certificates, procps")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ
  GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${CMAKE_SOURCE_DIR}/packaging/debian/postinst
  ${CMAKE_SOURCE_DIR}/packaging/debian/prerm
  ${CMAKE_SOURCE_DIR}/packaging/debian/postrm)
include(CPack)
