// Options.swift -- section 2 of xverse.h.

import CXverse
import XverseCore

@_cdecl("xverse_options_create")
public func xverse_options_create(_ kind: Int32, _ out: UnsafeMutablePointer<OpaquePointer?>?) -> xverse_status {
  creating(out) { () throws(XverseError) in OptionsHandle(try optionKind(kind)) }
}

@_cdecl("xverse_options_free")
public func xverse_options_free(_ options: OpaquePointer?) { releaseHandle(options) }

@_cdecl("xverse_options_set_int")
public func xverse_options_set_int(
  _ options: OpaquePointer?, _ key: UnsafePointer<CChar>?, _ value: Int64
) -> xverse_status {
  setting(options, key) { (values, key) throws(XverseError) in try values.set(key, to: .int(value)) }
}

@_cdecl("xverse_options_set_float")
public func xverse_options_set_float(
  _ options: OpaquePointer?, _ key: UnsafePointer<CChar>?, _ value: Double
) -> xverse_status {
  setting(options, key) { (values, key) throws(XverseError) in try values.set(key, to: .float(value)) }
}

@_cdecl("xverse_options_set_string")
public func xverse_options_set_string(
  _ options: OpaquePointer?, _ key: UnsafePointer<CChar>?, _ value: UnsafePointer<CChar>?, _ len: Int
) -> xverse_status {
  setting(options, key) { (values, key) throws(XverseError) in
    try values.set(key, to: .text(text(value, len, "value")))
  }
}

@_cdecl("xverse_options_set_json")
public func xverse_options_set_json(
  _ options: OpaquePointer?, _ json: UnsafePointer<CChar>?, _ len: Int
) -> xverse_status {
  reportingErrors { () throws(XverseError) in
    let options = try borrow(options, as: OptionsHandle.self, "options")
    let json = try text(json, len, "json")
    try options.changing("options") { () throws(XverseError) in try options.values.set(json: json) }
  }
}

@_cdecl("xverse_options_describe")
public func xverse_options_describe(
  _ kind: Int32, _ index: Int32, _ info: UnsafeMutablePointer<xverse_option_info>?
) -> xverse_status {
  reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    let kind = try optionKind(kind)
    let descriptions = kind.group.descriptions
    guard descriptions.indices.contains(Int(index)) else {
      throw .range("index is \(index), kind \(kind.name) has \(descriptions.count) options")
    }
    try deliver(descriptions[Int(index)], to: info, "info")
  }
}

private func setting(
  _ options: OpaquePointer?, _ key: UnsafePointer<CChar>?,
  _ body: (inout any SettableOptions, String) throws(XverseError) -> Void
) -> xverse_status {
  reportingErrors { () throws(XverseError) in
    let options = try borrow(options, as: OptionsHandle.self, "options")
    let key = try string(key, "key")
    try options.changing("options") { () throws(XverseError) in try body(&options.values, key) }
  }
}

private func optionKind(_ kind: Int32) throws(XverseError) -> OptionKind {
  guard let known = OptionKind(rawValue: kind) else {
    let names = OptionKind.allCases.map { "\($0.name)" }.joined(separator: ", ")
    throw .invalid("kind is \(kind), expected one of XVERSE_OPTIONS_\(names)")
  }
  return known
}
