// swift-tools-version:6.0
// A Swift program that uses the installed libxverse: pkg-config finds it, the module map shows its header to Swift.

import PackageDescription

let package = Package(
  name: "generate",
  targets: [
    .systemLibrary(name: "CXverse", pkgConfig: "xverse"),
    .executableTarget(name: "generate", dependencies: ["CXverse"]),
  ]
)
