// ConvertFunction.swift -- xverse_convert: a model written anew, as a directory or as a GGUF file.

import CXverse
import XverseConversion
import XverseCore

@_cdecl("xverse_convert")
public func xverse_convert(
  _ handle: OpaquePointer?, _ source: UnsafePointer<CChar>?, _ destination: UnsafePointer<CChar>?,
  _ options: OpaquePointer?, _ cancel: OpaquePointer?, _ fn: xverse_progress_fn?, _ user: UnsafeMutableRawPointer?
) -> xverse_status {
  reportingErrors { () throws(XverseError) in
    let source = try path(source, "source")
    let destination = try path(destination, "destination")
    let options: ConversionOptions = try optionValues(options)
    let cancellation = try cancellation(cancel)
    let reporter = ProgressReporter(function: fn, user: user)
    let context = try runtime(handle).context(cancellation: cancellation, report: reporter.report)
    try ModelConversion(source, options, context).write(to: destination)
  }
}
