// main.swift -- the fuzzer of scripts/fuzz.sh: libFuzzer with the check of one target.
// usage: xverse-fuzz --target=NAME [libFuzzer's arguments]      xverse-fuzz --list

import CLibFuzzer
import FuzzTargets
import Glibc

/// libFuzzer passes over arguments with two dashes, and hands them to the processes that it starts.
private let option = "--target="

private let names = FuzzTarget.all.map(\.name)
if CommandLine.arguments.contains("--list") {
  for name in names { print(name) }
  exit(0)
}
private let wanted = CommandLine.arguments.first { $0.hasPrefix(option) }?.dropFirst(option.count)
guard let target = FuzzTarget.all.first(where: { $0.name == wanted ?? "" }) else {
  print("usage: xverse-fuzz --target=\(names.joined(separator: "|")) [libFuzzer's arguments]")
  exit(2)
}
/// For the callback, which has no user pointer.
nonisolated(unsafe) private let check = try target.prepare()

var count = CommandLine.argc
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
exit(
  LLVMFuzzerRunDriver(&count, &arguments) { data, size in
    do { try check(UnsafeRawBufferPointer(start: data, count: size)) } catch { fatalError("\(error)") }
    return 0
  })
