// SamplerFunctions.swift -- section 9 of xverse.h.

import CXverse
import XverseCore
import XverseRuntime

@_cdecl("xverse_sampler_create")
public func xverse_sampler_create(
  _ model: OpaquePointer?, _ options: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> xverse_status {
  creating(out) { () throws(XverseError) in
    let handle = try borrow(model, as: ModelHandle.self, "model")
    let model = handle.model
    let options = try generationOptions(options, for: model).usable()
    return SamplerHandle(
      try Sampler(
        options.sampling, vocabularySize: model.configuration.vocabularySize, allocator: handle.runtime.allocator))
  }
}

@_cdecl("xverse_sampler_free")
public func xverse_sampler_free(_ sampler: OpaquePointer?) { releaseHandle(sampler) }

@_cdecl("xverse_sampler_clone")
public func xverse_sampler_clone(
  _ sampler: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> xverse_status {
  creating(out) { () throws(XverseError) in
    let handle = try borrow(sampler, as: SamplerHandle.self, "sampler")
    return try handle.reading("sampler") { () throws(XverseError) in
      SamplerHandle(try handle.sampler.clone(), hasSampled: handle.hasSampled)
    }
  }
}

@_cdecl("xverse_sampler_set_callback")
public func xverse_sampler_set_callback(
  _ sampler: OpaquePointer?, _ fn: xverse_logits_fn?, _ user: UnsafeMutableRawPointer?
) -> xverse_status {
  changing(sampler) { (handle) throws(XverseError) in
    guard let fn else { return try handle.sampler.setLogitsHook(nil) }
    try handle.sampler.setLogitsHook { logits in
      insideCallback { fn(user, logits.baseAddress, Int32(clamping: logits.count)) } == 0
    }
  }
}

@_cdecl("xverse_sampler_sample")
public func xverse_sampler_sample(
  _ sampler: OpaquePointer?, _ logits: UnsafePointer<Float>?, _ n: Int, _ token: UnsafeMutablePointer<Int32>?,
  _ logprob: UnsafeMutablePointer<Float>?
) -> xverse_status {
  changing(sampler) { (handle) throws(XverseError) in
    let logits = try array(logits, n, "logits")
    let token = try required(token, "token")
    guard n == handle.sampler.vocabularySize else {
      throw .range("n is \(n), expected the vocabulary's \(handle.sampler.vocabularySize)")
    }
    handle.hasSampled = true
    let chosen = try handle.sampler.sample(logits, wantsLogprob: logprob != nil)
    token.pointee = chosen.token
    logprob?.pointee = chosen.logprob
  }
}

@_cdecl("xverse_sampler_accept")
public func xverse_sampler_accept(_ sampler: OpaquePointer?, _ token: Int32) -> xverse_status {
  changing(sampler) { (handle) throws(XverseError) in
    try handle.sampler.accept(token, isGenerated: handle.hasSampled)
  }
}

private func changing(
  _ sampler: OpaquePointer?, _ body: (SamplerHandle) throws(XverseError) -> Void
) -> xverse_status {
  reportingErrors { () throws(XverseError) in
    let handle = try borrow(sampler, as: SamplerHandle.self, "sampler")
    try handle.changing("sampler") { () throws(XverseError) in try body(handle) }
  }
}
