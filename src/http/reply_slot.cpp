#include "http/reply_slot.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace postern::http {
namespace {

thread_local const Mailbox* own_mailbox = nullptr;

}  // namespace

Mailbox::Mailbox(boost::asio::io_context& context,
                 std::shared_ptr<std::atomic<std::size_t>> in_flight,
                 std::move_only_function<void()> deliver)
    : in_flight_(std::move(in_flight)), context_(&context), deliver_(std::move(deliver)) {}

void Mailbox::adopt_thread() const {
  own_mailbox = this;
}

bool Mailbox::is_own_thread() const {
  return own_mailbox == this;
}

void Mailbox::push(std::shared_ptr<ReplySlot> slot) {
  const std::lock_guard lock(mutex_);
  if (context_ == nullptr) return;
  slots_.push_back(std::move(slot));
  // Posted under the lock, which is what keeps the io_context from going in between.
  if (slots_.size() == 1) boost::asio::post(*context_, [this] { deliver_(); });
}

void Mailbox::take(std::vector<std::shared_ptr<ReplySlot>>& slots) {
  const std::lock_guard lock(mutex_);
  slots.swap(slots_);
}

void Mailbox::close() {
  std::vector<std::shared_ptr<ReplySlot>> dropped;
  const std::lock_guard lock(mutex_);
  context_ = nullptr;
  dropped.swap(slots_);
}

void ReplySlot::complete(HttpResponse response) {
  response_ = std::move(response);
  mailbox_->in_flight().fetch_sub(1, std::memory_order_relaxed);
  if (mailbox_->is_own_thread() && is_handler_running_) {
    is_answered_ = true;
    return;
  }
  mailbox_->push(shared_from_this());
}

void ReplySlot::begin() {
  is_handler_running_ = true;
  is_answered_ = false;
}

bool ReplySlot::end() {
  is_handler_running_ = false;
  return is_answered_;
}

}  // namespace postern::http
