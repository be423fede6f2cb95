#pragma once

namespace await {

/// Membership in at most one List. Destroying the hook removes it from the list, so a client that leaves is
/// removed by its destruction. `Tag` distinguishes several hooks of one class.
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

/// An intrusive list of T, which derives from Hook<Tag>. Owns nothing; its destruction unlinks its members.
/// Iterate by take_all() and pop_front() if the call to a member may destroy other members.
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

  /// Appends `item`. If it is in a list already, it is moved.
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

  /// Calls `visit(T &)` for each member. `visit` must not unlink any member but its argument.
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
