// Loads a SavedModel with tensorflow::LoadSavedModel, the loader that TensorFlow Serving uses, runs requests without
// Python, compares the answers with the expected ones and measures latencies.
//
//   loader_check MODEL_DIR CASES TOLERANCE SECONDS
//
// CASES is a TFRecord file of NamedTensorProto, each named "case<TAB>signature<TAB>role<TAB>tensor". A role is `input`, or
// `output` for an expected answer; a case without outputs may be answered or refused. Cases named `time ...` are measured:
// for SECONDS for each signature and batch size, going round the cases, by one client and by two at once.
//
// Prints lines of tab-separated fields:
//   load     SECONDS
//   answer   CASE  ok | wrong | refused  WHY
//   latency  SIGNATURE  BATCH  CLIENTS  P50_MS  P99_MS  RUNS
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/lib/io/record_reader.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/protobuf/named_tensor.pb.h"
#include "tensorflow/core/public/session.h"

using tensorflow::Tensor;
using Clock = std::chrono::steady_clock;

struct Case {
  std::string name, signature;
  std::map<std::string, Tensor> inputs, outputs;
};

struct Request {
  std::vector<std::pair<std::string, Tensor>> feeds;
  std::vector<std::string> fetches, keys;
};

double Since(Clock::time_point begun) { return std::chrono::duration<double>(Clock::now() - begun).count(); }

[[noreturn]] void Fail(const std::string& message) {
  std::cerr << message << std::endl;
  std::exit(1);
}

std::string OneLine(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\t' || c == '\r'; }, ' ');
  return text;
}

std::vector<Case> ReadCases(const std::string& path) {
  std::unique_ptr<tensorflow::RandomAccessFile> file;
  if (auto status = tensorflow::Env::Default()->NewRandomAccessFile(path, &file); !status.ok()) Fail(status.ToString());
  tensorflow::io::RecordReader reader(file.get());
  std::vector<Case> cases;
  std::map<std::string, size_t> index;
  tensorflow::uint64 offset = 0;
  tensorflow::tstring record;
  while (reader.ReadRecord(&offset, &record).ok()) {
    tensorflow::NamedTensorProto named;
    Tensor tensor;
    if (!named.ParseFromString(std::string(record)) || !tensor.FromProto(named.tensor())) Fail(path + " is damaged");
    std::vector<std::string> fields(1);
    for (char c : named.name()) {
      if (c == '\t') {
        fields.emplace_back();
      } else {
        fields.back().push_back(c);
      }
    }
    if (fields.size() != 4) Fail(path + " is damaged");
    auto [place, is_new] = index.emplace(fields[0], cases.size());
    if (is_new) cases.push_back({fields[0], fields[1], {}, {}});
    Case& one = cases[place->second];
    (fields[2] == "input" ? one.inputs : one.outputs)[fields[3]] = tensor;
  }
  return cases;
}

Request MakeRequest(const tensorflow::SavedModelBundle& model, const Case& one) {
  auto found = model.GetSignatures().find(one.signature);
  if (found == model.GetSignatures().end()) Fail("no signature " + one.signature);
  Request request;
  for (const auto& [key, tensor] : one.inputs) request.feeds.emplace_back(found->second.inputs().at(key).name(), tensor);
  for (const auto& [key, info] : found->second.outputs()) {
    request.keys.push_back(key);
    request.fetches.push_back(info.name());
  }
  return request;
}

// Each client computes on its own thread alone: no pool between operations, one thread inside an operation.
tensorflow::Status Run(const tensorflow::SavedModelBundle& model, const Request& request, std::vector<Tensor>* outputs) {
  static const tensorflow::RunOptions* const options = [] {
    auto* made = new tensorflow::RunOptions;
    made->set_inter_op_thread_pool(-1);
    return made;
  }();
  tensorflow::RunMetadata metadata;
  return model.session->Run(*options, request.feeds, request.fetches, {}, outputs, &metadata);
}

bool Close(float a, float b, double tolerance) {
  return a == b || std::abs(a - b) <= tolerance * std::max(1.0f, std::max(std::abs(a), std::abs(b)));
}

// Two rankings may differ where scores are equal up to rounding: an item may change places with one of equal score, or
// with one that has just not made it into the ranking.
template <typename Id>
bool SameRanking(const Tensor& found, const Tensor& expected, const Tensor* scores, double tolerance) {
  auto is = found.flat<Id>();
  auto should = expected.flat<Id>();
  const int64_t width = expected.dims() == 2 ? expected.dim_size(1) : 1;
  for (int64_t n = 0; n < should.size(); ++n) {
    if (is(n) == should(n)) continue;
    if (scores == nullptr || scores->shape() != expected.shape()) return false;
    auto score = scores->flat<float>();
    const int64_t begin = n / width * width, last = begin + width - 1;
    int64_t other = begin;
    while (other <= last && should(other) != is(n)) ++other;
    if (!Close(score(n), score(std::min(other, last)), tolerance)) return false;
  }
  return true;
}

std::string Compare(const Request& request, const std::vector<Tensor>& outputs, const Case& one, double tolerance) {
  for (size_t n = 0; n < outputs.size(); ++n) {
    const std::string& key = request.keys[n];
    auto wanted = one.outputs.find(key);
    if (wanted == one.outputs.end()) return "no answer was expected in " + key;
    const Tensor &is = outputs[n], &should = wanted->second;
    if (is.dtype() != should.dtype() || is.shape() != should.shape()) {
      return key + " is " + is.DeviceSafeDebugString() + ", expected " + should.DeviceSafeDebugString();
    }
    auto ranked = one.outputs.find("scores");
    const Tensor* scores = ranked == one.outputs.end() ? nullptr : &ranked->second;
    bool same = true;
    if (is.dtype() == tensorflow::DT_FLOAT) {
      auto a = is.flat<float>(), b = should.flat<float>();
      for (int64_t i = 0; i < a.size(); ++i) same = same && Close(a(i), b(i), tolerance);
    } else if (is.dtype() == tensorflow::DT_STRING) {
      same = SameRanking<tensorflow::tstring>(is, should, scores, tolerance);
    } else if (is.dtype() == tensorflow::DT_INT64) {
      same = SameRanking<int64_t>(is, should, scores, tolerance);
    } else {
      same = is.tensor_data() == should.tensor_data();
    }
    if (!same) return key + " differs: " + is.SummarizeValue(8) + " expected " + should.SummarizeValue(8);
  }
  return "";
}

// Returns the times of one client's runs, in milliseconds.
std::vector<double> Time(const tensorflow::SavedModelBundle& model, const std::vector<Request>& requests, double seconds) {
  constexpr int kWarmUp = 2, kLeast = 5;
  std::vector<double> times;
  std::vector<Tensor> outputs;
  auto begun = Clock::now();
  for (int n = 0; n < kWarmUp + kLeast || Since(begun) < seconds; ++n) {
    const auto sent = Clock::now();
    if (n == kWarmUp) begun = sent;
    if (auto status = Run(model, requests[n % requests.size()], &outputs); !status.ok()) Fail(status.ToString());
    if (n >= kWarmUp) times.push_back(1e3 * Since(sent));
  }
  return times;
}

void Measure(const tensorflow::SavedModelBundle& model, const std::vector<Case>& cases, double seconds) {
  std::map<std::pair<std::string, int64_t>, std::vector<Request>> groups;
  for (const Case& one : cases) {
    if (one.name.rfind("time ", 0) != 0) continue;
    groups[{one.signature, one.inputs.begin()->second.dim_size(0)}].push_back(MakeRequest(model, one));
  }
  for (const auto& [group, requests] : groups) {
    for (int clients : {1, 2}) {
      std::vector<std::vector<double>> times(clients);
      std::vector<std::thread> threads;
      for (auto& own : times) threads.emplace_back([&, out = &own] { *out = Time(model, requests, seconds); });
      for (auto& thread : threads) thread.join();
      std::vector<double> all;
      for (const auto& own : times) all.insert(all.end(), own.begin(), own.end());
      std::sort(all.begin(), all.end());
      std::cout << "latency\t" << group.first << "\t" << group.second << "\t" << clients << "\t" << all[all.size() / 2]
                << "\t" << all[all.size() * 99 / 100] << "\t" << all.size() << std::endl;
    }
  }
}

int main(int argc, char** argv) {
  if (argc != 5) Fail("usage: loader_check MODEL_DIR CASES TOLERANCE SECONDS");
  const double tolerance = std::atof(argv[3]);
  const std::vector<Case> cases = ReadCases(argv[2]);
  tensorflow::SessionOptions options;
  options.config.set_intra_op_parallelism_threads(1);
  options.config.set_inter_op_parallelism_threads(1);
  tensorflow::SavedModelBundle model;
  const auto begun = Clock::now();
  auto status = tensorflow::LoadSavedModel(options, tensorflow::RunOptions(), argv[1], {"serve"}, &model);
  if (!status.ok()) Fail(OneLine(std::string(status.message())));
  std::cout << "load\t" << Since(begun) << std::endl;
  for (const Case& one : cases) {
    const Request request = MakeRequest(model, one);
    std::vector<Tensor> outputs;
    std::string verdict = "ok", why;
    if (auto run = Run(model, request, &outputs); !run.ok()) {
      verdict = "refused";
      why = std::string(run.message());
    } else if (!one.outputs.empty()) {
      why = Compare(request, outputs, one, tolerance);
      if (!why.empty()) verdict = "wrong";
    }
    std::cout << "answer\t" << one.name << "\t" << verdict << "\t" << OneLine(why) << std::endl;
  }
  Measure(model, cases, std::atof(argv[4]));
  return 0;
}
