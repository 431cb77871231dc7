// swift-tools-version:6.0
// Swift programs that use the package of this repository, which uses the installed libxverse.

import PackageDescription

let package = Package(
  name: "examples",
  dependencies: [.package(path: "../../bindings/swift/XVERSE")],
  targets: [
    .executableTarget(name: "generate", dependencies: ["XVERSE"]),
    .executableTarget(name: "chat", dependencies: ["XVERSE"]),
  ],
  swiftLanguageModes: [.v6]
)
