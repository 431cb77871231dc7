// Library.swift -- section 1 of xverse.h.

import CXverse
import Glibc
import XverseCore
import XverseTensors

private let major = 0
private let minor = 2
private let patch = 0

/// "major.minor.patch".
let libraryVersion = "\(major).\(minor).\(patch)"

@_cdecl("xverse_version")
public func xverse_version() -> UnsafePointer<CChar>? { LibraryTexts.version }

@_cdecl("xverse_version_number")
public func xverse_version_number() -> Int32 { Int32(major * 1_000_000 + minor * 1000 + patch) }

@_cdecl("xverse_build_info")
public func xverse_build_info() -> UnsafePointer<CChar>? { LibraryTexts.buildInfo }

@_cdecl("xverse_status_name")
public func xverse_status_name(_ status: xverse_status) -> UnsafePointer<CChar>? { cString(statusName(status)) }

@_cdecl("xverse_last_error")
public func xverse_last_error() -> UnsafePointer<CChar>? { ThreadState.current.message }

@_cdecl("xverse_last_error_offset")
public func xverse_last_error_offset() -> Int64 { ThreadState.current.offset }

@_cdecl("xverse_free")
public func xverse_free(_ memory: UnsafeMutableRawPointer?) { free(memory) }

/// Texts that live as long as the process.
private enum LibraryTexts {
  nonisolated(unsafe) static let version: UnsafePointer<CChar> = permanentCopy(libraryVersion)

  nonisolated(unsafe) static let buildInfo: UnsafePointer<CChar> = {
    var writer = JSONWriter()
    writer.beginObject()
    writer.write(libraryVersion, "version")
    writer.write(Kernels.buildCommit, "commit")
    writer.write(Kernels.buildCompiler, "compiler")
    writer.beginArray("kernels")
    for set in Kernels.InstructionSet.allCases where set.isBuilt { writer.write(set.name) }
    writer.endArray()
    writer.write(Kernels.InstructionSet.fastest.name, "kernel")
    writer.write(Kernels.hasOpenMP, "openmp")
    let team = Kernels.Threading.suitable(threadCount: 2)
    writer.write(team.threading == .openmp ? "openmp" : "pthread", "threading")
    writer.write(team.reason, "threading_reason")
    writer.endObject()
    return permanentCopy(writer.text)
  }()
}

/// A copy that is never freed; the empty text when there is no memory for it.
func permanentCopy(_ text: String) -> UnsafePointer<CChar> {
  strdup(text).map { UnsafePointer($0) } ?? cString("")
}

func cString(_ text: StaticString) -> UnsafePointer<CChar> {
  UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
}

private func statusName(_ status: xverse_status) -> StaticString {
  switch Int(status) {
  case XVERSE_OK: "XVERSE_OK"
  case XVERSE_TIMEOUT: "XVERSE_TIMEOUT"
  case XVERSE_STOPPED: "XVERSE_STOPPED"
  case XVERSE_E_FAIL: "XVERSE_E_FAIL"
  case XVERSE_E_NOMEM: "XVERSE_E_NOMEM"
  case XVERSE_E_INVALID: "XVERSE_E_INVALID"
  case XVERSE_E_MISUSE: "XVERSE_E_MISUSE"
  case XVERSE_E_BUSY: "XVERSE_E_BUSY"
  case XVERSE_E_CANCELLED: "XVERSE_E_CANCELLED"
  case XVERSE_E_DEADLINE: "XVERSE_E_DEADLINE"
  case XVERSE_E_IO: "XVERSE_E_IO"
  case XVERSE_E_NOTFOUND: "XVERSE_E_NOTFOUND"
  case XVERSE_E_CORRUPT: "XVERSE_E_CORRUPT"
  case XVERSE_E_UNSUPPORTED: "XVERSE_E_UNSUPPORTED"
  case XVERSE_E_UNSAFE: "XVERSE_E_UNSAFE"
  case XVERSE_E_RANGE: "XVERSE_E_RANGE"
  case XVERSE_E_CONTEXT_FULL: "XVERSE_E_CONTEXT_FULL"
  case XVERSE_E_QUEUE_FULL: "XVERSE_E_QUEUE_FULL"
  case XVERSE_E_PARSE: "XVERSE_E_PARSE"
  case XVERSE_E_MISMATCH: "XVERSE_E_MISMATCH"
  case XVERSE_E_FORKED: "XVERSE_E_FORKED"
  case XVERSE_E_LIMIT: "XVERSE_E_LIMIT"
  case XVERSE_E_CALLBACK: "XVERSE_E_CALLBACK"
  case XVERSE_E_COMM: "XVERSE_E_COMM"
  case XVERSE_E_INTERNAL: "XVERSE_E_INTERNAL"
  default: "unknown status"
  }
}
