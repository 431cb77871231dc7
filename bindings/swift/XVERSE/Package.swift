// swift-tools-version:6.0
// libxverse for Swift, over an installed library that pkg-config finds.

import Foundation
import PackageDescription

/// Where xverse.pc says that programs find the library when they start: `-Wl,-rpath,DIRECTORY`, which it has when
/// the dynamic linker does not search its directory (`make install PC_RPATH=1`).
///
/// SwiftPM takes -I, -L and -l from pkg-config and drops the rest. Unsafe flags, as these are for SwiftPM, keep a package
/// from being depended on by version; without a run path there are none.
let runPaths: [String] = {
  let pkgConfig = Process()
  let output = Pipe()
  pkgConfig.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  pkgConfig.arguments = ["pkg-config", "--libs-only-other", "xverse"]
  pkgConfig.standardOutput = output
  pkgConfig.standardError = FileHandle.nullDevice
  // Without pkg-config, or xverse.pc, SwiftPM itself tells what is missing.
  guard (try? pkgConfig.run()) != nil else { return [] }
  let flags = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  pkgConfig.waitUntilExit()
  let prefix = "-Wl,-rpath,"
  return flags.split(whereSeparator: \.isWhitespace).filter { $0.hasPrefix(prefix) }.map {
    String($0.dropFirst(prefix.count))
  }
}()

let package = Package(
  name: "XVERSE",
  products: [.library(name: "XVERSE", targets: ["XVERSE"])],
  targets: [
    .systemLibrary(name: "CXverse", pkgConfig: "xverse"),
    .target(
      name: "XVERSE", dependencies: ["CXverse"],
      linkerSettings: runPaths.map { .unsafeFlags(["-Xlinker", "-rpath", "-Xlinker", $0]) }),
    .testTarget(name: "XVERSETests", dependencies: ["XVERSE"]),
  ],
  swiftLanguageModes: [.v6]
)
