#pragma once

namespace await {

/// Membership in at most one List. Destroying the hook leaves the list: "the client left" is just
/// destruction. `Tag` tells several hooks of one class apart.
template <class Tag = void>
class Hook {
 public:
  Hook() = default;
  Hook(const Hook &) = delete;
  Hook &operator=(const Hook &) = delete;
  ~Hook() { unlink(); }

  bool linked() const { return next_ != nullptr; }
  void unlink() {
    if (next_ == nullptr)
      return;
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = nullptr;
  }

 private:
  template <class T, class U>
  friend class List;
  Hook *prev_ = nullptr;
  Hook *next_ = nullptr;
};

/// An intrusive list of T, which derives from Hook<Tag>. Owns nothing; lets go of its members when it
/// is destroyed. Iterate by take_all + pop_front wherever a member's call may destroy other members.
template <class T, class Tag = void>
class List {
 public:
  List() { head_.prev_ = head_.next_ = &head_; }
  List(const List &) = delete;
  List &operator=(const List &) = delete;
  ~List() {
    while (pop_front() != nullptr) {
    }
    head_.prev_ = head_.next_ = nullptr;  // so that the head's own destructor finds nothing to unlink
  }

  bool empty() const { return head_.next_ == &head_; }
  T *front() { return empty() ? nullptr : item(head_.next_); }

  /// Appends; an item that is in a list already moves here.
  void push_back(T &item) {
    Hook<Tag> &hook = item;
    hook.unlink();
    hook.prev_ = head_.prev_;
    hook.next_ = &head_;
    head_.prev_->next_ = &hook;
    head_.prev_ = &hook;
  }

  T *pop_front() {
    T *first = front();
    if (first != nullptr)
      static_cast<Hook<Tag> *>(first)->unlink();
    return first;
  }

  /// Moves all members of `other` to the end of this list.
  void take_all(List &other) {
    if (other.empty())
      return;
    Hook<Tag> *first = other.head_.next_;
    Hook<Tag> *last = other.head_.prev_;
    other.head_.prev_ = other.head_.next_ = &other.head_;
    first->prev_ = head_.prev_;
    head_.prev_->next_ = first;
    last->next_ = &head_;
    head_.prev_ = last;
  }

  /// Calls `visit(T &)` for each; the visit must not unlink anything but its own argument.
  template <class Visit>
  void each(Visit visit) {
    for (Hook<Tag> *hook = head_.next_; hook != &head_;) {
      Hook<Tag> *next = hook->next_;
      visit(*item(hook));
      hook = next;
    }
  }

 private:
  static T *item(Hook<Tag> *hook) { return static_cast<T *>(hook); }
  Hook<Tag> head_;
};

}  // namespace await
