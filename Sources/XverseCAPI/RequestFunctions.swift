// RequestFunctions.swift -- the requests of section 10 of xverse.h.

import CXverse
import XverseCore
import XverseRuntime

@_cdecl("xverse_request_create")
public func xverse_request_create(
  _ model: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> xverse_status {
  creating(out) { () throws(XverseError) in
    let model = try borrow(model, as: ModelHandle.self, "model")
    return RequestHandle(GenerationRequest(model.model, allocator: model.runtime.allocator), model: model)
  }
}

@_cdecl("xverse_request_free")
public func xverse_request_free(_ request: OpaquePointer?) { releaseHandle(request) }

@_cdecl("xverse_request_add_tokens")
public func xverse_request_add_tokens(
  _ request: OpaquePointer?, _ tokens: UnsafePointer<Int32>?, _ n: Int
) -> xverse_status {
  changing(request) { (request) throws(XverseError) in
    try request.add(tokens: try array(tokens, n, "tokens"))
  }
}

@_cdecl("xverse_request_add_text")
public func xverse_request_add_text(
  _ request: OpaquePointer?, _ text: UnsafePointer<CChar>?, _ len: Int
) -> xverse_status {
  changing(request) { (request) throws(XverseError) in
    try request.add(text: try XverseCAPI.text(text, len, "text"))
  }
}

@_cdecl("xverse_request_add_message")
public func xverse_request_add_message(
  _ request: OpaquePointer?, _ role: UnsafePointer<CChar>?, _ text: UnsafePointer<CChar>?, _ len: Int
) -> xverse_status {
  changing(request) { (request) throws(XverseError) in
    let role = try ChatMessage.Role(named: try string(role, "role"))
    let content = try XverseCAPI.text(text, len, "text")
    try request.add(ChatMessage(role: role, content: content, allocator: request.allocator))
  }
}

@_cdecl("xverse_request_set_options")
public func xverse_request_set_options(_ request: OpaquePointer?, _ options: OpaquePointer?) -> xverse_status {
  changing(request) { (request) throws(XverseError) in
    request.options = try generationOptions(options, "sampling", for: request.model)
  }
}

@_cdecl("xverse_request_tokens")
public func xverse_request_tokens(
  _ request: OpaquePointer?, _ tokens: UnsafeMutablePointer<Int32>?, _ capacity: Int, _ n: UnsafeMutablePointer<Int>?
) -> xverse_status {
  reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    let handle = try borrow(request, as: RequestHandle.self, "request")
    try handle.reading("request") { () throws(XverseError) in
      let prompt = try handle.request.prompt()
      try deliver(prompt.elements, to: tokens, capacity: capacity, count: n, "tokens")
    }
  }
}

private func changing(
  _ request: OpaquePointer?, _ body: (GenerationRequest) throws(XverseError) -> Void
) -> xverse_status {
  reportingErrors { () throws(XverseError) in
    let handle = try borrow(request, as: RequestHandle.self, "request")
    try handle.changing("request") { () throws(XverseError) in try body(handle.request) }
  }
}
